import type { Logger } from 'pino';
import { LlmError } from '../llm/llm.ts';
import { createLeases, inHand, type Leases, RELEASED } from '../work/leases.ts';
import { type ClaimedFile, FileLostError, forgetSteps, readIn, type ReadInOptions } from './read-in.ts';
import type { VectorStoreFileError } from './vector-store.ts';

/** Reads files into vector stores, as many at a time as it may, for as long as the process lives. */
export interface Ingest {
  /** Files in this process's hands. */
  readonly active: number;
  /** Begins no further file; those under way are handed back. */
  close(): Promise<void>;
}

export interface IngestOptions extends Omit<ReadInOptions, 'owner'> {
  owner: string;
  leaseMs: number;
  heartbeatMs: number;
  pollMs: number;
  concurrency: number;
  logger: Logger;
}

/** Tries that end for a reason that may pass, and processes that may be lost with a file. */
const MOST_FAILURES = 5;
const MOST_LOST = 3;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Leases of files, for the process named `owner`. */
export const fileLeases = (options: Pick<IngestOptions, 'db' | 'owner' | 'leaseMs'>): Leases<ClaimedFile> =>
  createLeases<ClaimedFile>({
    db: options.db,
    owner: options.owner,
    leaseMs: options.leaseMs,
    table: 'vector_store_file',
    ready: `status = 'IN_PROGRESS' and (retry_at is null or retry_at <= now())`,
    order: 'turn, id',
    // Who cancels a file takes it away from its reader, who keeps nothing.
    stop: 'false',
    set: 'lost = t.lost + c.taken_over::int',
    returning: `t.id, t.project_id as "projectId", t.vector_store_id as "vectorStoreId", t.file_id as "fileId", t.chunking,
  t.failures, t.lost`,
  });

export function createIngest(options: IngestOptions): Ingest {
  const { db, wake, owner, leaseMs, heartbeatMs, pollMs, concurrency, logger } = options;
  const leases = fileLeases(options);
  const active = new Map<string, { stop: AbortController; done: Promise<void>; heard: number; epoch: number }>();
  let closing = false;
  let nudge: (() => void) | null = null;
  let woken = false;

  const nudged = () => {
    woken = true;
    nudge?.();
  };
  const heard = () => {
    nudged();
    void heartbeat();
  };
  const off = wake.on('ingest', heard, heard);
  const heart = setInterval(() => void heartbeat(), heartbeatMs);
  const watch = setInterval(stopUnheard, Math.min(heartbeatMs, 1000));
  const net = setInterval(nudged, pollMs);
  const loop = work();

  async function work(): Promise<void> {
    while (!closing) {
      woken = false; // before the claim: what is woken while it runs must be looked for again
      let claimed: ClaimedFile[] = [];
      const room = concurrency - active.size;
      try {
        if (room > 0) claimed = await db.tx((tx) => leases.claim(tx, room, inHand(active)));
        for (const file of claimed) take(file);
      } catch (error) {
        logger.error({ err: error }, 'claiming files of vector stores failed; trying again');
      }
      if (claimed.length === 0 && !woken && !closing) await new Promise<void>((resolve) => (nudge = resolve));
      nudge = null;
    }
  }

  function take(file: ClaimedFile): void {
    const stop = new AbortController();
    const done = ingest(file, stop.signal)
      .catch((error: unknown) => {
        // Its lease runs out, and it is read again from its beginning.
        logger.error({ err: error, vectorStoreFileId: file.id }, 'a file of a vector store could not be settled');
      })
      .finally(() => {
        if (active.get(file.id)?.stop === stop) active.delete(file.id);
        nudged();
      });
    active.set(file.id, { stop, done, heard: performance.now(), epoch: file.epoch });
  }

  async function ingest(file: ClaimedFile, signal: AbortSignal): Promise<void> {
    const log = logger.child({ vectorStoreFileId: file.id, vectorStoreId: file.vectorStoreId });
    const started = performance.now();
    if (file.lost >= MOST_LOST) {
      const message = `${file.lost} processes were lost while they read this file, one after the other.`;
      return settle(file, { code: 'SERVER_ERROR', message });
    }
    try {
      const error = await readIn(file, options, signal);
      const ms = Math.round(performance.now() - started);
      if (!error) return log.info({ ms }, 'a file was read into its vector store');
      log.info({ ms, code: error.code }, 'a file cannot be read into its vector store');
      await settle(file, error);
    } catch (error) {
      if (signal.aborted || error instanceof FileLostError) return forgetSteps(db, file.id);
      await fail(file, error, log);
    }
  }

  /** What may pass is tried again later; what does not pass is told to those who look at the file. */
  async function fail(file: ClaimedFile, error: unknown, log: Logger): Promise<void> {
    const failures = file.failures + 1;
    const hopeless = error instanceof LlmError && !error.retryable;
    // Model servers quote what they were sent, and that is what stands in the file: their words are for its owner alone.
    const said = error instanceof LlmError ? { code: error.code, retryable: error.retryable } : { err: error };
    log.warn({ ...said, failures }, 'reading a file into its vector store failed');
    if (hopeless || failures >= MOST_FAILURES) {
      const message =
        error instanceof LlmError
          ? `Its text could not be embedded. ${error.message}`
          : `Reading this file failed on this server ${failures} times. Its log says why; add the file again to try once more.`;
      return settle(file, { code: 'SERVER_ERROR', message });
    }
    const asked = error instanceof LlmError ? error.retryAfterMs : null;
    const pause = Math.min(LONGEST_PAUSE_MS, asked ?? FIRST_PAUSE_MS * 2 ** failures);
    await db.query({
      name: 'ingest-again',
      text: `update vector_store_file set failures = $4, retry_at = now() + $5 * interval '1 millisecond', ${RELEASED}
where id = $1 and owner = $2 and epoch = $3`,
      values: [file.id, owner, file.epoch, failures, Math.round(pause)],
    });
  }

  async function settle(file: ClaimedFile, error: VectorStoreFileError): Promise<void> {
    await db.tx(async (tx) => {
      tx.write({
        name: 'ingest-failed',
        text: `update vector_store_file set status = 'FAILED', last_error = $4, ${RELEASED}
where id = $1 and owner = $2 and epoch = $3 and status = 'IN_PROGRESS'`,
        values: [file.id, owner, file.epoch, JSON.stringify(error)],
      });
      tx.afterCommit(() => wake.wake('stores', file.vectorStoreId));
    });
    await forgetSteps(db, file.id);
  }

  async function heartbeat(): Promise<void> {
    const asked = [...active];
    if (asked.length === 0) return;
    const at = performance.now(); // the lease lasts from before the database was asked, at the least
    try {
      const held = new Map((await leases.heartbeat(asked.map(([id]) => id))).map((row) => [row.id, row]));
      for (const [id, file] of asked) {
        if (held.get(id)?.epoch === file.epoch) file.heard = at;
        else file.stop.abort(new FileLostError(id));
      }
    } catch (error) {
      logger.error({ err: error }, 'the heartbeat of files failed; trying again');
    }
  }

  function stopUnheard(): void {
    const end = performance.now() - leaseMs;
    for (const [id, file] of active) if (file.heard < end) file.stop.abort(new FileLostError(id));
  }

  return {
    get active() {
      return active.size;
    },
    async close() {
      if (closing) return;
      closing = true;
      off();
      clearInterval(net);
      nudge?.();
      await loop;
      const left = [...active];
      for (const [id, { stop }] of left) stop.abort(new FileLostError(id));
      await Promise.all(left.map(([, { done }]) => done));
      clearInterval(heart);
      clearInterval(watch);
      if (left.length > 0) await leases.handBack(left.map(([id]) => id));
    },
  };
}
