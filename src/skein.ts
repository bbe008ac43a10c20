import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createAssistants } from './assistants/assistants.ts';
import { createKeys, type Keys } from './auth/keys.ts';
import type { Config } from './config.ts';
import { type Database, openDatabase } from './db/open-database.ts';
import { createWorker } from './engine/worker.ts';
import { createEventLog } from './events/log.ts';
import { createTail, type Tail } from './events/tail.ts';
import { type Context, createContext, type Rooms } from './graphql/context.ts';
import { RequestError } from './graphql/errors.ts';
import { PAGE_MAX } from './graphql/load.ts';
import { createOperations } from './graphql/operation.ts';
import type { Llm } from './llm/llm.ts';
import { createOffline } from './llm/offline.ts';
import { createOpenAi } from './llm/openai.ts';
import type { HeldRun } from './runs/held-run.ts';
import { type ClaimedRun, RUN_LEASES } from './runs/rows.ts';
import { createRuns } from './runs/runs.ts';
import { createSchema } from './schema.ts';
import { createHttpServer } from './server/http.ts';
import { createWebSockets } from './server/websocket.ts';
import { createThreads } from './threads/threads.ts';
import { createLeases, type Hands } from './work/leases.ts';
import { createLocalWake } from './work/wake.ts';

export const VERSION = '0.1.0';

export interface Skein {
  /** Where it listens, `http://127.0.0.1:4000`. */
  readonly url: string;
  /** A key with all scopes, as long as this process knows one. */
  readonly key: string | null;
  /** Where the first key was written, when this start has made it. */
  readonly newKeyFile: string | null;
  /** Things that are open: for tests that prove that nothing leaks. */
  counts(): { followers: number; listeners: number; sockets: number; activeRuns: number };
  /** Drains and closes; what is still running after the drain time is handed back. */
  close(): Promise<void>;
}

/** Milliseconds that deltas of a process wait for each other before they are committed together. */
const LOG_WINDOW_MS = 5;
/** Nets below the wake-ups: how often a worker looks for work and a tail for events that it was not told of. */
const POLL_MS = 1000;

/** Puts a server together and starts it. The only place that wires. */
export async function createSkein(config: Config, logger: Logger): Promise<Skein> {
  mkdirSync(config.dataDir, { recursive: true });
  const { databaseUrl, dataDir, databasePoolSize: poolSize } = config;
  const db = await openDatabase({ databaseUrl, dataDir, poolSize, logger });
  const closing: (() => Promise<void> | void)[] = [() => db.close()];
  try {
    return await start(config, logger, db, closing);
  } catch (error) {
    for (const close of closing.reverse()) await close();
    throw error;
  }
}

async function start(
  config: Config,
  logger: Logger,
  db: Database,
  closing: (() => Promise<void> | void)[],
): Promise<Skein> {
  const llm = createLlm(config, logger);
  closing.push(() => llm.close());
  const wake = createLocalWake();
  const tail = createTail({ db, pollMs: POLL_MS, logger });
  const log = createEventLog({ db, tail, windowMs: LOG_WINDOW_MS, logger });
  closing.push(() => log.close());
  const leases = createLeases<ClaimedRun>({
    db,
    owner: `${hostname()}:${process.pid}:${randomBytes(6).toString('base64url')}`,
    leaseMs: config.leaseMs,
    ...RUN_LEASES,
  });
  // Who holds the data folder is alone: whoever had a lease before is gone.
  if (db.embedded) await leases.voidAll();

  const keys = createKeys({ db, onRevoked: (keyId) => wake.wake('keys', keyId) });
  const offKeys = wake.on('keys', () => keys.forget());
  const first = await keys.ensureFirst(config.bootstrapKey);
  const keyFile = join(config.dataDir, 'api-key');
  const newKeyFile = first?.made && !config.bootstrapKey ? keyFile : null;
  if (newKeyFile) keep(first!.secret, newKeyFile);
  const key = await usable(keys, first?.secret ?? keptKey(keyFile), logger);
  // The worker needs the runs and comes behind them; nobody starts one before the server listens.
  const hands: Hands<HeldRun> = { reserve: () => worker.reserve() };
  const runs = createRuns({ db, log, leases, wake, hands, expiresAfterMs: config.runExpiresAfterMs });
  const rooms: Rooms = {
    keys,
    llm,
    tail,
    runs,
    threads: createThreads({ db, log }),
    assistants: createAssistants({ db }),
    server: facts(config, db, llm),
  };
  const context = async (authorization: string | null, requestId: string): Promise<Context> => {
    const secret = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const viewer = secret ? await keys.authenticate(secret) : null;
    if (!viewer) {
      throw new RequestError(
        'UNAUTHENTICATED',
        secret ? 'The key is unknown or revoked.' : 'A key is needed: send it as `Authorization: Bearer <key>`.',
      );
    }
    return createContext({ requestId, viewer, db, rooms });
  };

  const operations = createOperations(createSchema(), logger);
  const worker = createWorker({
    db,
    log,
    leases,
    wake,
    runs,
    llm,
    logger,
    concurrency: config.runConcurrency,
    heartbeatMs: config.heartbeatMs,
    pollMs: POLL_MS,
    contextTokens: config.modelContextTokens,
    maxTurns: config.runMaxTurns,
  });
  closing.push(() => worker.close(0));
  let draining = false;
  const { allowedHosts: hosts, corsOrigins, maxBodyBytes } = config;
  const allowedHosts = [...hosts, config.host];
  const http = createHttpServer({
    operations,
    context,
    onRevoked: (listener) => wake.on('keys', listener),
    async notReady(): Promise<Record<string, string> | null> {
      if (draining) return { server: 'It is shutting down.' };
      try {
        await db.query({ name: 'ready', text: 'select 1', values: [] });
        return null;
      } catch (error) {
        logger.warn({ err: error }, 'the database does not answer');
        return { database: `It does not answer: ${(error as Error).message}` };
      }
    },
    allowedHosts,
    corsOrigins,
    maxBodyBytes,
    logger,
  });
  const sockets = createWebSockets({
    server: http,
    operations,
    context,
    stillGood: (keyIds) => keys.stillGood(keyIds),
    onRevoked: (listener) => wake.on('keys', listener),
    allowedHosts,
    corsOrigins,
    maxMessageBytes: maxBodyBytes,
    keepAliveMs: 12_000,
    logger,
  });
  closing.push(() => sockets.close());
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(config.port, config.host, resolve);
  });
  const { address, port, family } = http.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;

  return {
    url,
    key,
    newKeyFile,
    counts: () => ({
      followers: tail.followers,
      listeners: wake.listeners,
      sockets: sockets.connections,
      activeRuns: worker.active,
    }),
    async close() {
      draining = true;
      logger.info('shutting down');
      const closed = new Promise((resolve) => http.close(resolve));
      await worker.close(config.drainMs);
      await lastWords(tail);
      // Readers are cut off before their streams end: an end would tell them that there is nothing more to come.
      await sockets.close();
      http.closeAllConnections();
      tail.close();
      await closed;
      await log.close();
      offKeys();
      await llm.close();
      await db.close();
    },
  };
}

/** Gives readers a moment to get what was committed last; one that is slower comes back for it with its cursor. */
async function lastWords(tail: Tail): Promise<void> {
  const end = Date.now() + 1000;
  while (!tail.caughtUp && Date.now() < end) await setTimeout(10);
}

function createLlm(config: Config, logger: Logger): Llm {
  if (!config.modelServer) {
    logger.warn(
      'No model server is set up (OPENAI_API_KEY, OPENAI_BASE_URL): the built-in offline model answers. It is not a language model.',
    );
    return createOffline();
  }
  return createOpenAi({ ...config.modelServer, timeoutMs: config.modelTimeoutMs, logger });
}

function facts(config: Config, db: Database, llm: Llm): Rooms['server'] {
  const none = (what: string) => ({ driver: 'none', detail: `This server has no ${what} yet.` });
  return {
    version: VERSION,
    modelServer:
      llm.driver === 'offline'
        ? {
            driver: 'offline',
            detail: 'No model server is set up: the built-in offline model answers. It is not a language model.',
          }
        : { driver: 'openai', detail: `OpenAI-compatible server at ${llm.baseUrl}.` },
    database: db.embedded
      ? {
          driver: 'embedded',
          detail:
            'PGlite in this process. Safe against its death, not against a power cut: use PostgreSQL for what matters.',
        }
      : { driver: 'postgresql', detail: 'The server that DATABASE_URL names.' },
    sandbox: none('code interpreter'),
    embeddings: none('embeddings'),
    search: none('file search'),
    limits: {
      requestBytes: config.maxBodyBytes,
      pageSize: PAGE_MAX,
      runExpiresAfterSeconds: config.runExpiresAfterMs / 1000,
      runMaxTurns: config.runMaxTurns,
      modelContextTokens: config.modelContextTokens,
    },
  };
}

/** The first key is kept for its operator alone. */
function keep(secret: string, file: string): void {
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  // The mode above is for a new file; one that was there keeps its own.
  chmodSync(file, 0o600);
}

const keptKey = (file: string): string | null => (existsSync(file) ? readFileSync(file, 'utf8').trim() : null);

/** The key, unless it was revoked since, or belongs to another database. */
async function usable(keys: Keys, key: string | null, logger: Logger): Promise<string | null> {
  if (key === null || (await keys.authenticate(key))) return key;
  logger.warn('the key that is kept in DATA_DIR is no longer good; SKEIN_BOOTSTRAP_KEY sets another');
  return null;
}
