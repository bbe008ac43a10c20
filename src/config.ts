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

const Environment = z.object({
  HOST: text.default('127.0.0.1'),
  PORT: integer(0, 65_535).default(4000),
  DATA_DIR: text.default('./data'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' }).optional(),
  DATABASE_POOL_SIZE: integer(1, 200).default(10),
  OPENAI_API_KEY: text.optional(),
  OPENAI_BASE_URL: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  OPENAI_TIMEOUT_SECONDS: integer(1, 3600).default(60),
  MODEL_CONTEXT_TOKENS: integer(1024, 100_000_000).default(128_000),
  SKEIN_BOOTSTRAP_KEY: z
    .string()
    .regex(/^\S{20,200}$/, 'must be 20 to 200 characters without blanks')
    .optional(),
  CORS_ORIGINS: list.optional(),
  ALLOWED_HOSTS: list.optional(),
  MAX_BODY_BYTES: integer(1024, 1_073_741_824).default(8 * 1024 * 1024),
  RUN_EXPIRES_AFTER_SECONDS: integer(1, 2_592_000).default(600),
  RUN_MAX_TURNS: integer(1, 10_000).default(100),
  RUN_CONCURRENCY: integer(1, 10_000).default(500),
  LEASE_SECONDS: integer(1, 3600).default(15),
  HEARTBEAT_SECONDS: integer(1, 1200).default(5),
  DRAIN_SECONDS: integer(0, 600).default(10),
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
  /** null = the built-in offline model. */
  readonly modelServer: { readonly apiKey: string | null; readonly baseUrl: string | null } | null;
  readonly modelTimeoutMs: number;
  readonly modelContextTokens: number;
  readonly bootstrapKey: string | null;
  /** null = pages of this machine. */
  readonly corsOrigins: readonly string[] | null;
  readonly allowedHosts: readonly string[];
  readonly maxBodyBytes: number;
  readonly runExpiresAfterMs: number;
  readonly runMaxTurns: number;
  readonly runConcurrency: number;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly drainMs: number;
  readonly logLevel: z.infer<typeof Environment>['LOG_LEVEL'];
}

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
  return Object.freeze({
    host: env.HOST,
    port: env.PORT,
    dataDir: env.DATA_DIR,
    databaseUrl: env.DATABASE_URL ?? null,
    databasePoolSize: env.DATABASE_POOL_SIZE,
    modelServer:
      env.OPENAI_API_KEY || env.OPENAI_BASE_URL
        ? { apiKey: env.OPENAI_API_KEY ?? null, baseUrl: env.OPENAI_BASE_URL ?? null }
        : null,
    modelTimeoutMs: env.OPENAI_TIMEOUT_SECONDS * 1000,
    modelContextTokens: env.MODEL_CONTEXT_TOKENS,
    bootstrapKey: env.SKEIN_BOOTSTRAP_KEY ?? null,
    corsOrigins: env.CORS_ORIGINS ?? null,
    allowedHosts: env.ALLOWED_HOSTS ?? [],
    maxBodyBytes: env.MAX_BODY_BYTES,
    runExpiresAfterMs: env.RUN_EXPIRES_AFTER_SECONDS * 1000,
    runMaxTurns: env.RUN_MAX_TURNS,
    runConcurrency: env.RUN_CONCURRENCY,
    leaseMs: env.LEASE_SECONDS * 1000,
    heartbeatMs: env.HEARTBEAT_SECONDS * 1000,
    drainMs: env.DRAIN_SECONDS * 1000,
    logLevel: env.LOG_LEVEL,
  });
}
