import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createAssistants } from '../assistants/assistants.ts';
import { openFirstKey } from '../auth/first-key.ts';
import { createClientTokens } from '../auth/client-tokens.ts';
import { createKeys } from '../auth/keys.ts';
import type { Config } from '../config.ts';
import { createDatabaseCheck } from '../db/database-check.ts';
import type { Database } from '../db/open-database.ts';
import { createWorker } from '../engine/worker.ts';
import { createEventLog } from '../events/log.ts';
import { createTail, type Tail } from '../events/tail.ts';
import { createFiles } from '../files/files.ts';
import { createLinks } from '../files/links.ts';
import { createReadImage } from '../files/read-image.ts';
import { openStorage } from '../files/open-storage.ts';
import { type Context, createContext, type Rooms } from '../graphql/context.ts';
import { RequestError } from '../graphql/errors.ts';
import { createOperations } from '../graphql/operation.ts';
import { describeEmbeddings } from '../llm/embeddings.ts';
import { LlmError } from '../llm/llm.ts';
import type { HeldRun } from '../runs/held-run.ts';
import { createExpiry } from '../runs/expiry.ts';
import { createLine } from '../runs/line.ts';
import { type ClaimedRun, runLeases } from '../runs/rows.ts';
import { createRuns } from '../runs/runs.ts';
import { createSchema } from '../schema.ts';
import { createConnections } from '../server/connections.ts';
import { createFileRoutes } from '../server/files.ts';
import { createHealthServer, type Readiness } from '../server/health.ts';
import { createHttpServer } from '../server/http.ts';
import { createPlaygroundRoutes } from '../server/playground.ts';
import { createSocketWatch } from '../server/socket-watch.ts';
import { createWebSockets } from '../server/websocket.ts';
import type { Skein } from '../skein.ts';
import { createThreadList } from '../threads/thread-list.ts';
import { createThreads } from '../threads/threads.ts';
import { readCodeFiles } from '../threads/code-files.ts';
import { createCodeSessionRows } from '../threads/code-sessions.ts';
import { readSearchedStores } from '../threads/tool-resources.ts';
import { createFileSearch } from '../tools/file-search.ts';
import { createCodeInterpreter } from '../tools/code-interpreter.ts';
import type { HostedTools } from '../tools/tool.ts';
import { openRetrieval } from '../vector-stores/retrieval.ts';
import { choresOf } from './chores.ts';
import { facts } from './facts.ts';
import { hints } from './hints.ts';
import { createLlm, openEmbeddings } from './models.ts';
import { describeSandbox, openSandbox } from './sandbox.ts';
import { createChores } from '../work/chores.ts';
import { createLeases, type Hands } from '../work/leases.ts';
import { openWake, STANDING_IN } from '../work/open-wake.ts';

/** Milliseconds that deltas of a process wait for each other before they are committed together. */
const LOG_WINDOW_MS = 5;

/**
 * Puts a server together on its database and starts it. The only place that wires. `closing` collects what is to be
 * closed, last first, if the start fails.
 */
export async function start(
  config: Config,
  logger: Logger,
  database: Promise<Database>,
  given: HostedTools | null,
  closing: (() => Promise<void> | void)[],
): Promise<Skein> {
  const schema = createSchema();
  const db = await database;
  const llm = createLlm(config, logger);
  closing.push(() => llm.close());
  const wake = await openWake({ db, redisUrl: config.redisUrl, logger });
  closing.push(() => wake.close());
  const tail = createTail({ db, wake, pollMs: config.pollMs, logger });
  const list = createThreadList((subject) => wake.wake('threads', subject));
  const log = createEventLog({ db, tail, windowMs: LOG_WINDOW_MS, onWritten: list.written, logger });
  closing.push(() => log.close());
  const owner = `${hostname()}:${process.pid}:${randomBytes(6).toString('base64url')}`;
  const leases = createLeases<ClaimedRun>({
    db,
    owner,
    leaseMs: config.leaseMs,
    ...runLeases(config.runMaxAttempts),
  });
  const sessions = createCodeSessionRows({ db, worker: owner, idleMs: config.sandbox.idleMs });
  // Who holds the data folder is alone: whoever had a lease before is gone.
  if (db.embedded) await Promise.all([leases.voidAll(), sessions.voidAll()]);

  const tokens = await createClientTokens({ db });
  const keys = createKeys({ db, tokens, onRevoked: (keyId) => wake.wake('keys', keyId) });
  const forget = () => keys.forget();
  const offKeys = wake.on('keys', forget, forget);
  const serves = config.role !== 'worker';
  const { bootstrapKey: bootstrap, dataDir } = config;
  const { key, newKeyFile } = serves
    ? await openFirstKey({ db, keys, dataDir, bootstrap, logger })
    : { key: null, newKeyFile: null };
  // The worker needs the runs and comes behind them; nobody starts one before the server listens.
  const hands: Hands<HeldRun> = { reserve: () => worker?.reserve() ?? null };
  const { runExpiresAfterMs: expiresAfterMs } = config;
  const line = createLine({ wake, expiresAfterMs });
  const runs = createRuns({ db, log, leases, wake, line, list, hands, expiresAfterMs });
  const storage = await openStorage(config.storage, logger);
  closing.push(() => storage.close());
  const { maxFileBytes: fileBytes, maxProjectFileBytes: projectBytes } = config;
  const files = createFiles({ db, storage, limits: { fileBytes, projectBytes }, logger });
  closing.push(() => files.close());
  const embeddings = openEmbeddings(config, logger);
  closing.push(() => embeddings.close());
  const { leaseMs, heartbeatMs, pollMs, extraction } = config;
  const { ingestConcurrency: concurrency, vectorCacheBytes: cacheBytes } = config;
  const reading = { owner, leaseMs, heartbeatMs, pollMs, concurrency, extraction };
  const retrieval = await openRetrieval({ db, wake, files, embeddings, ...reading, cacheBytes, logger });
  closing.push(() => retrieval.close());
  const fileSearch = createFileSearch({
    stores: retrieval.stores,
    storesOf: (place) => readSearchedStores(db, place),
    isModelError: (error) => error instanceof LlmError,
  });
  const executes = config.role !== 'api';
  const sandbox = executes && !given ? await openSandbox(config, logger) : null;
  closing.push(() => sandbox?.close());
  const inputs = (place: Parameters<typeof readCodeFiles>[1]) => readCodeFiles(db, place);
  const codeInterpreter = sandbox && createCodeInterpreter({ sandbox, files, inputs, sessions, logger });
  const tools = given ?? { codeInterpreter, fileSearch };
  const links = await createLinks({ db, fileSeconds: config.fileUrlSeconds });
  const rooms: Rooms = {
    keys,
    llm,
    tail,
    runs,
    threads: createThreads({ db, log, list }),
    assistants: createAssistants({ db }),
    hosted: {
      // Where code is run by others, they say what becomes of it.
      codeInterpreter: tools.codeInterpreter !== null || (!executes && config.sandbox.driver !== 'none'),
      fileSearch: tools.fileSearch !== null,
    },
    files,
    links,
    vectorStores: retrieval.stores,
    ...hints({ db, wake }),
    server: facts({ config, db, wake, llm, storage, sandbox, embeddings, retrieval }),
  };
  const context = async (authorization: string | null, requestId: string, origin: string): Promise<Context> => {
    const secret = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    const viewer = secret ? await keys.authenticate(secret) : null;
    if (viewer === 'expired')
      throw new RequestError('TOKEN_EXPIRED', 'The client token has expired: fetch another one where it came from.');
    if (!viewer) {
      throw new RequestError(
        'UNAUTHENTICATED',
        secret
          ? 'The key is unknown or revoked, or the client token is of such a key.'
          : 'A key is needed: send it as `Authorization: Bearer <key>`.',
      );
    }
    return createContext({ requestId, origin: config.publicUrl ?? origin, viewer, db, rooms });
  };

  const operations = createOperations(schema, logger);
  const worker = executes
    ? createWorker({
        db,
        log,
        leases,
        wake,
        line,
        llm,
        tools,
        readImage: createReadImage(files),
        logger,
        concurrency: config.runConcurrency,
        heartbeatMs: config.heartbeatMs,
        pollMs: config.pollMs,
        contextTokens: config.modelContextTokens,
        maxTurns: config.runMaxTurns,
      })
    : null;
  closing.push(() => worker?.close(0));
  const expiry = createExpiry({ runs, everyMs: pollMs, logger });
  closing.push(() => expiry.close());
  const chores = executes ? createChores({ db, chores: choresOf(config, db, log, files, retrieval), logger }) : null;
  closing.push(() => chores?.close());
  if (executes) retrieval.startReading();
  let draining = false;
  const { allowedHosts: hosts, corsOrigins, maxBodyBytes } = config;
  const allowedHosts = [...hosts, config.host];
  const connections = createConnections({ most: config.maxConnections, mostPerKey: config.maxConnectionsPerKey });
  const checkDatabase = createDatabaseCheck(db);
  const check = async (): Promise<Readiness> => {
    const problem = draining ? null : await checkDatabase();
    if (problem) logger.warn({ problem }, 'the database is not ready');
    const missing = wake.carrier?.problem;
    return {
      reasons: draining ? { server: 'It is shutting down.' } : problem ? { database: problem } : null,
      degraded: degradedBy({ wakeUps: missing ? `${missing} ${STANDING_IN}` : null, search: retrieval.problem }),
      using: {
        search: retrieval.describe().detail,
        embeddings: describeEmbeddings(embeddings).detail,
        ...(sandbox ? { sandbox: describeSandbox(config, sandbox).detail } : {}),
      },
    };
  };
  const guards = {
    stillGood: (keyIds: string[]) => keys.stillGood(keyIds),
    onRevoked: (listener: (keyId: string) => void, missed: () => void) => wake.on('keys', listener, missed),
  };
  const http = serves
    ? createHttpServer({
        operations,
        context,
        files: createFileRoutes({ files, links, corsOrigins, logger }),
        playground: createPlaygroundRoutes({ publicUrl: config.publicUrl }),
        ...guards,
        check,
        allowedHosts,
        corsOrigins,
        maxBodyBytes,
        connections,
        logger,
      })
    : createHealthServer({ check, logger });
  const watch = createSocketWatch({
    server: http,
    stallMs: config.socketStallMs,
    keepAliveMs: config.keepAliveMs,
    onCut: (unsent) => logger.info({ unsent }, 'a connection was cut off that takes nothing any more'),
  });
  closing.push(() => watch.close());
  const sockets = serves
    ? createWebSockets({
        server: http,
        operations,
        context,
        ...guards,
        connections,
        watch,
        allowedHosts,
        corsOrigins,
        maxMessageBytes: maxBodyBytes,
        bufferBytes: config.socketBufferBytes,
        maxSubscriptions: config.maxSubscriptionsPerConnection,
        logger,
      })
    : null;
  closing.push(() => sockets?.close());
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(config.port, config.host, resolve);
  });
  const { address, port, family } = http.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;

  const close = async (): Promise<void> => {
    draining = true;
    logger.info('shutting down');
    const quiet = new Promise((resolve) => http.close(resolve));
    if (sandbox) await sessions.end();
    // Runs first: somebody waits for each of them.
    await worker?.close(config.drainMs);
    await Promise.all([expiry.close(), chores?.close()]);
    await lastWords(tail);
    // Readers are cut off before their streams end: an end would tell them that there is nothing more to come.
    await sockets?.close();
    watch.close();
    http.closeAllConnections();
    tail.close();
    await quiet;
    await retrieval.close();
    await sandbox?.close();
    await embeddings.close();
    await files.close();
    await storage.close();
    await log.close();
    offKeys();
    await wake.close();
    await llm.close();
    await db.close();
  };
  let closed: Promise<void> | null = null;

  return {
    url,
    key,
    newKeyFile,
    counts: () => ({
      followers: tail.followers + rooms.threadHints.followers + rooms.storeHints.followers,
      listeners: wake.listeners,
      sockets: sockets?.connections ?? 0,
      activeRuns: worker?.active ?? 0,
    }),
    close: () => (closed ??= close()),
  };
}

function degradedBy(problems: Record<string, string | null>): Readiness['degraded'] {
  const found = Object.entries(problems).filter((entry): entry is [string, string] => entry[1] !== null);
  return found.length > 0 ? Object.fromEntries(found) : null;
}

/** Gives readers a moment to get what was committed last; one that is slower comes back for it with its cursor. */
async function lastWords(tail: Tail): Promise<void> {
  const end = Date.now() + 1000;
  while (!tail.caughtUp && Date.now() < end) await setTimeout(10);
}
