import { join } from 'node:path';
import { z } from 'zod';

/**
 * The only reader of the environment. An empty variable is an unset one; a bad value is a start-up error that names
 * the variable. The table in README.md says the same for people.
 */
const text = z.string().min(1);
const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const list = text.transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);
const DAY_MS = 86_400_000;

const Environment = z.object({
  HOST: text.default('127.0.0.1'),
  PORT: integer(0, 65_535).default(4000),
  DATA_DIR: text.default('./data'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' }).optional(),
  ROLE: z.enum(['all', 'api', 'worker']).default('all'),
  POLL_SECONDS: integer(1, 3600).default(1),
  DATABASE_POOL_SIZE: integer(1, 200).default(10),
  OPENAI_API_KEY: text.optional(),
  OPENAI_BASE_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  OPENAI_TIMEOUT_SECONDS: integer(1, 3600).default(60),
  MODEL_CONTEXT_TOKENS: integer(1024, 100_000_000).default(128_000),
  EMBEDDING_MODEL: text.optional(),
  EMBEDDING_DIMENSIONS: integer(1, 65_536).optional(),
  VECTOR_CACHE_MB: integer(1, 1_000_000).default(512),
  INGEST_CONCURRENCY: integer(1, 100).default(2),
  EXTRACT_MEMORY_MB: integer(320, 65_536).default(768),
  EXTRACT_TIMEOUT_SECONDS: integer(1, 3600).default(120),
  SKEIN_BOOTSTRAP_KEY: z
    .string()
    .regex(/^\S{20,200}$/, 'must be 20 to 200 characters without blanks')
    .optional(),
  CORS_ORIGINS: list.optional(),
  ALLOWED_HOSTS: list.optional(),
  MAX_BODY_BYTES: integer(1024, 1_073_741_824).default(8 * 1024 * 1024),
  MAX_FILE_BYTES: integer(1, 80 * 1024 ** 3).default(512 * 1024 * 1024),
  MAX_PROJECT_FILE_BYTES: integer(1, Number.MAX_SAFE_INTEGER).default(100 * 1024 ** 3),
  FILE_URL_SECONDS: integer(1, 604_800).default(3600),
  PUBLIC_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  STORAGE: z.enum(['disk', 's3']).default('disk'),
  S3_BUCKET: text.optional(),
  S3_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  S3_REGION: text.optional(),
  S3_ACCESS_KEY_ID: text.optional(),
  S3_SECRET_ACCESS_KEY: text.optional(),
  S3_FORCE_PATH_STYLE: z.enum(['true', 'false']).optional(),
  MAX_CONNECTIONS: integer(1, 1_000_000).default(10_000),
  MAX_CONNECTIONS_PER_KEY: integer(1, 1_000_000).default(1000),
  MAX_SUBSCRIPTIONS_PER_CONNECTION: integer(1, 10_000).default(100),
  SOCKET_BUFFER_BYTES: integer(16_384, 1_073_741_824).default(4 * 1024 * 1024),
  SOCKET_STALL_SECONDS: integer(1, 3600).default(30),
  KEEP_ALIVE_SECONDS: integer(1, 3600).default(12),
  RUN_EXPIRES_AFTER_SECONDS: integer(1, 2_592_000).default(600),
  RUN_MAX_TURNS: integer(1, 10_000).default(100),
  RUN_MAX_ATTEMPTS: integer(1, 1000).default(5),
  RUN_CONCURRENCY: integer(1, 10_000).default(500),
  LEASE_SECONDS: integer(1, 3600).default(15),
  HEARTBEAT_SECONDS: integer(1, 1200).default(5),
  SANDBOX_DRIVER: z.enum(['auto', 'pyodide', 'bubblewrap', 'none']).default('auto'),
  SANDBOX_TIMEOUT_SECONDS: integer(1, 300).default(60),
  SANDBOX_CPU_SECONDS: integer(1, 300).default(60),
  SANDBOX_MEMORY_MB: integer(256, 65_536).optional(),
  SANDBOX_DISK_MB: integer(1, 65_536).default(256),
  SANDBOX_PROCESSES: integer(8, 4096).default(64),
  SANDBOX_OUTPUT_KB: integer(1, 65_536).default(1024),
  SANDBOX_SESSIONS: integer(1, 1000).optional(),
  SANDBOX_SESSIONS_PER_PROJECT: integer(1, 1000).default(4),
  SANDBOX_WARM: integer(0, 16).default(1),
  SANDBOX_IDLE_MINUTES: integer(1, 1440).default(20),
  SANDBOX_LIFE_MINUTES: integer(1, 1440).default(60),
  DRAIN_SECONDS: integer(0, 600).default(0),
  CHORES_EVERY_SECONDS: integer(1, 86_400).default(60),
  LOG_COMPACT_AFTER_SECONDS: integer(0, 31_536_000).default(3600),
  RETAIN_RUNS_DAYS: integer(0, 36_500).default(0),
  RETAIN_THREADS_DAYS: integer(0, 36_500).default(0),
  RETAIN_FILES_DAYS: integer(0, 36_500).default(0),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export interface Config {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly dataDir: string;
  /** null = the embedded database in `dataDir`. */
  readonly databaseUrl: string | null;
  readonly databasePoolSize: number;
  /** What carries wake-ups and events between processes; null = the database. */
  readonly redisUrl: string | null;
  /** `api` answers callers and executes nothing; `worker` executes runs and has no GraphQL; `all` does both. */
  readonly role: 'all' | 'api' | 'worker';
  /** The net below the wake-ups: how often a worker looks for work and a tail for events that it was not told of. */
  readonly pollMs: number;
  /** null = the built-in offline model. */
  readonly modelServer: { readonly apiKey: string | null; readonly baseUrl: string | null } | null;
  readonly modelTimeoutMs: number;
  readonly modelContextTokens: number;
  /** What makes vectors on the model server; null = the built-in `hash-768`. */
  readonly embedding: { readonly model: string; readonly dimensions: number | null } | null;
  /** Bytes of vectors that searches keep in memory. */
  readonly vectorCacheBytes: number;
  /** Files that are read into vector stores at the same time, and what reading one may take. */
  readonly ingestConcurrency: number;
  readonly extraction: { readonly memoryMb: number; readonly timeoutMs: number };
  readonly bootstrapKey: string | null;
  /** null = pages of this machine. */
  readonly corsOrigins: readonly string[] | null;
  readonly allowedHosts: readonly string[];
  readonly maxBodyBytes: number;
  readonly maxFileBytes: number;
  readonly maxProjectFileBytes: number;
  readonly fileUrlSeconds: number;
  /** Where callers reach this server, without a slash at its end; null = as each of them says. */
  readonly publicUrl: string | null;
  readonly storage: StorageConfig;
  readonly maxConnections: number;
  readonly maxConnectionsPerKey: number;
  readonly maxSubscriptionsPerConnection: number;
  readonly socketBufferBytes: number;
  readonly socketStallMs: number;
  readonly keepAliveMs: number;
  readonly runExpiresAfterMs: number;
  readonly runMaxTurns: number;
  /** Workers that may be lost with a run at one step before it fails. */
  readonly runMaxAttempts: number;
  /** Where the code of models runs; null = what is usual for the kind of box. */
  readonly sandbox: {
    readonly driver: 'auto' | 'pyodide' | 'bubblewrap' | 'none';
    readonly timeoutMs: number;
    readonly cpuMs: number;
    readonly memoryBytes: number | null;
    readonly diskBytes: number;
    readonly processes: number;
    readonly outputBytes: number;
    readonly sessions: number | null;
    readonly sessionsPerProject: number;
    readonly warm: number;
    readonly idleMs: number;
    readonly lifeMs: number;
  };
  readonly runConcurrency: number;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly drainMs: number;
  /** Between two turns of what is done periodically on the whole database. */
  readonly choresEveryMs: number;
  /** How long after their end runs keep their deltas in the log; null = for good. */
  readonly logCompactAfterMs: number | null;
  /** How long runs that are over, threads in which nothing happens, and files are kept; null = for good. */
  readonly retainRunsMs: number | null;
  readonly retainThreadsMs: number | null;
  readonly retainFilesMs: number | null;
  readonly logLevel: z.infer<typeof Environment>['LOG_LEVEL'];
}

export type StorageConfig =
  | { readonly driver: 'disk'; readonly folder: string }
  | {
      readonly driver: 's3';
      readonly bucket: string;
      /** null = Amazon's own. */
      readonly endpoint: string | null;
      readonly region: string;
      /** null = what the SDK finds: shared files, the role of the machine. */
      readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
      readonly forcePathStyle: boolean;
    };

export class ConfigError extends Error {
  override name = 'ConfigError';
}

export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const set = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = Environment.safeParse(set);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`These environment variables have a value that Skein cannot use:\n${lines.join('\n')}`);
  }
  const env = parsed.data;
  if (env.HEARTBEAT_SECONDS * 2 > env.LEASE_SECONDS) {
    throw new ConfigError(
      `HEARTBEAT_SECONDS (${env.HEARTBEAT_SECONDS}) must be at most half of LEASE_SECONDS (${env.LEASE_SECONDS}): ` +
        'one late heartbeat would cost a worker its runs.',
    );
  }
  if (!env.DATABASE_URL) {
    const alone = 'the embedded database lives inside of one process, so there are no others; set DATABASE_URL';
    if (env.ROLE !== 'all') throw new ConfigError(`ROLE=${env.ROLE} needs other processes beside it, and ${alone}.`);
    if (env.REDIS_URL) throw new ConfigError(`REDIS_URL is for several processes on one database, and ${alone}.`);
  }
  return Object.freeze({
    host: env.HOST,
    port: env.PORT,
    dataDir: env.DATA_DIR,
    databaseUrl: env.DATABASE_URL ?? null,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    redisUrl: env.REDIS_URL ?? null,
    role: env.ROLE,
    pollMs: env.POLL_SECONDS * 1000,
    modelServer:
      env.OPENAI_API_KEY || env.OPENAI_BASE_URL
        ? { apiKey: env.OPENAI_API_KEY ?? null, baseUrl: env.OPENAI_BASE_URL ?? null }
        : null,
    modelTimeoutMs: env.OPENAI_TIMEOUT_SECONDS * 1000,
    modelContextTokens: env.MODEL_CONTEXT_TOKENS,
    embedding: embeddingOf(env),
    vectorCacheBytes: env.VECTOR_CACHE_MB * 1024 * 1024,
    ingestConcurrency: env.INGEST_CONCURRENCY,
    extraction: Object.freeze({
      memoryMb: env.EXTRACT_MEMORY_MB,
      timeoutMs: env.EXTRACT_TIMEOUT_SECONDS * 1000,
    }),
    bootstrapKey: env.SKEIN_BOOTSTRAP_KEY ?? null,
    corsOrigins: env.CORS_ORIGINS ?? null,
    allowedHosts: env.ALLOWED_HOSTS ?? [],
    maxBodyBytes: env.MAX_BODY_BYTES,
    maxFileBytes: env.MAX_FILE_BYTES,
    maxProjectFileBytes: env.MAX_PROJECT_FILE_BYTES,
    fileUrlSeconds: env.FILE_URL_SECONDS,
    publicUrl: env.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    storage: storageOf(env),
    maxConnections: env.MAX_CONNECTIONS,
    maxConnectionsPerKey: env.MAX_CONNECTIONS_PER_KEY,
    maxSubscriptionsPerConnection: env.MAX_SUBSCRIPTIONS_PER_CONNECTION,
    socketBufferBytes: env.SOCKET_BUFFER_BYTES,
    socketStallMs: env.SOCKET_STALL_SECONDS * 1000,
    keepAliveMs: env.KEEP_ALIVE_SECONDS * 1000,
    runExpiresAfterMs: env.RUN_EXPIRES_AFTER_SECONDS * 1000,
    runMaxTurns: env.RUN_MAX_TURNS,
    runMaxAttempts: env.RUN_MAX_ATTEMPTS,
    sandbox: Object.freeze({
      driver: env.SANDBOX_DRIVER,
      timeoutMs: env.SANDBOX_TIMEOUT_SECONDS * 1000,
      cpuMs: env.SANDBOX_CPU_SECONDS * 1000,
      memoryBytes: env.SANDBOX_MEMORY_MB ? env.SANDBOX_MEMORY_MB * 1024 * 1024 : null,
      diskBytes: env.SANDBOX_DISK_MB * 1024 * 1024,
      processes: env.SANDBOX_PROCESSES,
      outputBytes: env.SANDBOX_OUTPUT_KB * 1024,
      sessions: env.SANDBOX_SESSIONS ?? null,
      sessionsPerProject: env.SANDBOX_SESSIONS_PER_PROJECT,
      warm: env.SANDBOX_WARM,
      idleMs: env.SANDBOX_IDLE_MINUTES * 60_000,
      lifeMs: env.SANDBOX_LIFE_MINUTES * 60_000,
    }),
    runConcurrency: env.RUN_CONCURRENCY,
    leaseMs: env.LEASE_SECONDS * 1000,
    heartbeatMs: env.HEARTBEAT_SECONDS * 1000,
    drainMs: env.DRAIN_SECONDS * 1000,
    choresEveryMs: env.CHORES_EVERY_SECONDS * 1000,
    logCompactAfterMs: env.LOG_COMPACT_AFTER_SECONDS * 1000 || null,
    retainRunsMs: env.RETAIN_RUNS_DAYS * DAY_MS || null,
    retainThreadsMs: env.RETAIN_THREADS_DAYS * DAY_MS || null,
    retainFilesMs: env.RETAIN_FILES_DAYS * DAY_MS || null,
    logLevel: env.LOG_LEVEL,
  });
}

function embeddingOf(env: z.infer<typeof Environment>): Config['embedding'] {
  const { EMBEDDING_MODEL: model, EMBEDDING_DIMENSIONS: dimensions } = env;
  if (!model) {
    if (dimensions) throw new ConfigError('EMBEDDING_DIMENSIONS is set, and nothing uses it: EMBEDDING_MODEL is not.');
    return null;
  }
  if (!env.OPENAI_API_KEY && !env.OPENAI_BASE_URL) {
    throw new ConfigError('EMBEDDING_MODEL needs a model server that has it: set OPENAI_API_KEY or OPENAI_BASE_URL.');
  }
  return Object.freeze({ model, dimensions: dimensions ?? null });
}

function storageOf(env: z.infer<typeof Environment>): StorageConfig {
  const { S3_BUCKET: bucket, S3_ACCESS_KEY_ID: accessKeyId, S3_SECRET_ACCESS_KEY: secretAccessKey } = env;
  if (env.STORAGE === 'disk') {
    const idle = Object.entries(env).find(([name, value]) => name.startsWith('S3_') && value !== undefined);
    if (idle) throw new ConfigError(`${idle[0]} is set, and nothing uses it: files go to DATA_DIR unless STORAGE=s3.`);
    return Object.freeze({ driver: 'disk', folder: join(env.DATA_DIR, 'files') });
  }
  if (!bucket) throw new ConfigError('STORAGE=s3 needs S3_BUCKET: the name of the bucket that files go to.');
  if (!accessKeyId !== !secretAccessKey) {
    const [given, missing] = accessKeyId ? ['ID', 'SECRET'] : ['SECRET', 'ID'];
    const names = { ID: 'S3_ACCESS_KEY_ID', SECRET: 'S3_SECRET_ACCESS_KEY' } as Record<string, string>;
    throw new ConfigError(`${names[given!]} needs ${names[missing!]} beside it.`);
  }
  return Object.freeze({
    driver: 's3',
    bucket,
    endpoint: env.S3_ENDPOINT ?? null,
    region: env.S3_REGION ?? 'us-east-1',
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : null,
    forcePathStyle: env.S3_FORCE_PATH_STYLE ? env.S3_FORCE_PATH_STYLE === 'true' : env.S3_ENDPOINT !== undefined,
  });
}
