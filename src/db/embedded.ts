import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Logger } from 'pino';
import { type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import type { EmbeddedWorkerData, EmbeddedWorkerMessage } from './embedded-worker.ts';

export interface EmbeddedOptions {
  dataDir: string;
  logger: Logger;
  templates?: string;
}

export interface Embedded {
  /** Folder of the unix socket `.s.PGSQL.5432`. */
  readonly socketDir: string;
  close(): Promise<void>;
}

const SOCKET = '.s.PGSQL.5432';
/** Bytes that the path of a unix socket may have: 107 on Linux, 103 on macOS. */
const LONGEST_SOCKET_PATH = 103;
const TEMPORARY_FOLDER = 'skein-db-';
const TEMPLATES = fileURLToPath(new URL('../../node_modules/.cache/skein', import.meta.url));

/**
 * PostgreSQL without a server: PGlite in a thread of its own (a query would stall this one), reached like any other
 * PostgreSQL through a unix socket. It survives the death of the process, but not that of the machine: PGlite does not
 * wait for the disk.
 */
export async function openEmbedded({ dataDir, logger, templates = TEMPLATES }: EmbeddedOptions): Promise<Embedded> {
  const folder = resolve(dataDir);
  const lock = lockDataDir(folder);
  let socketDir: string | undefined;
  let worker: Worker | undefined;
  try {
    removeLeftover(lock);
    socketDir = makeSocketDir(folder, lock);
    const socketPath = join(socketDir, SOCKET);
    rmSync(socketPath, { force: true }); // left behind by a killed process; the lock says that nobody listens on it
    const workerData: EmbeddedWorkerData = { path: join(folder, 'postgres'), templates, socketPath };
    worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), { workerData });
    await started(worker, folder, logger);
  } catch (error) {
    await worker?.terminate();
    release(lock, socketDir);
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const exited = new Promise((done) => worker.once('exit', done));
    worker.postMessage('close');
    if (worker.threadId !== -1) await exited; // -1: it has failed before
    release(lock, socketDir);
  };
  return { socketDir, close: () => (closing ??= close()) };
}

function started(worker: Worker, folder: string, logger: Logger): Promise<void> {
  let serving = false;
  return new Promise((resolve, reject) => {
    worker.on('message', (message: EmbeddedWorkerMessage) => {
      if (message.type === 'warning') return logger.warn({ cause: message.error }, message.message);
      serving = true;
      resolve();
    });
    worker.on('error', (error: Error) => {
      if (serving)
        return logger.fatal({ err: error }, 'the embedded database has failed; only a restart brings it back');
      reject(new Error(`The embedded database in ${folder} does not start: ${error.message}`, { cause: error }));
    });
    worker.once('exit', () => reject(new Error(`The embedded database in ${folder} ended while it was starting.`)));
  });
}

function makeSocketDir(folder: string, lock: DataDirLock): string {
  const usual = join(folder, 'sock');
  if (Buffer.byteLength(join(usual, SOCKET)) <= LONGEST_SOCKET_PATH) {
    mkdirSync(usual, { recursive: true, mode: 0o700 });
    chmodSync(usual, 0o700); // mkdir leaves an existing folder as it is
    return usual;
  }
  const temporary = mkdtempSync(join(tmpdir(), TEMPORARY_FOLDER)); // mode 700
  lock.describe(temporary);
  if (Buffer.byteLength(join(temporary, SOCKET)) <= LONGEST_SOCKET_PATH) return temporary;
  rmSync(temporary, { recursive: true });
  throw new Error(
    `Neither ${folder} nor ${tmpdir()} is a short enough path for the embedded database's socket ` +
      `(${LONGEST_SOCKET_PATH} bytes). Give Skein a shorter DATA_DIR or TMPDIR.`,
  );
}

/** A killed process leaves its temporary folder; its note says where, and is believed only about a folder of that make. */
function removeLeftover({ previous }: DataDirLock): void {
  const leftover = previous?.temporaryFolder;
  if (!leftover || previous.host !== hostname()) return;
  if (dirname(leftover) === tmpdir() && basename(leftover).startsWith(TEMPORARY_FOLDER))
    rmSync(leftover, { recursive: true, force: true });
}

function release(lock: DataDirLock, socketDir: string | undefined): void {
  if (socketDir) rmSync(socketDir, { recursive: true, force: true });
  lock.release();
}
