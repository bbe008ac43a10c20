import { setImmediate as turn } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Db, Queryable, Sql, Tx } from '../db/db.ts';
import { sqlState, UNIQUE_VIOLATION } from '../db/db.ts';
import {
  encodeBody,
  type EventBody,
  inRun,
  lengthOf,
  merge,
  MOST_TEXT,
  type NewEvent,
  type StoredEvent,
} from './event.ts';
import type { Tail } from './tail.ts';

/** The key that a place in a log is: who finds it taken does not hold the thread. */
export const LOG_PLACE = 'event_pkey';

/** Somebody else has written at the place where this writer stood: it no longer holds the thread. */
export class FenceLostError extends Error {
  override name = 'FenceLostError';
}

/** The thread whose log it is. */
export interface LogOwner {
  id: string;
  projectId: string;
}

export interface EventLog {
  /**
   * Writes events behind `after` as part of a transaction whose caller holds the thread: its row lock with no active
   * run, or the run that is active. Published once it is committed. Returns the last number.
   */
  append(tx: Tx, thread: LogOwner, after: number, events: NewEvent[]): number;
  /** The same for several threads, with one statement. */
  appendAll(tx: Tx, parts: { thread: LogOwner; after: number; events: NewEvent[] }[]): void;
  /** A writer for the owner of a thread's active run, standing behind event `after`. */
  pen(thread: LogOwner, runId: string, after: number): Pen;
  close(): Promise<void>;
}

/**
 * The owner's place in a thread's log. Deltas go out with the group commit of the process; everything else is a
 * transaction, which takes the deltas that still wait along. Once it has lost the fence it writes nothing more.
 */
export interface Pen {
  /** Aborted, with the reason, when the fence is lost or the database failed. */
  readonly lost: AbortSignal;
  /** Queues a delta for the group commit. Does not wait. */
  push(body: EventBody): void;
  /**
   * Runs a transaction of the owner's. `work` writes rows and returns the events that tell of it; both are committed
   * together, or neither. `next` is the number that the first of them will have. Who holds the thread also tells of
   * what is not the run's own.
   */
  commit(work: (tx: Tx, next: number) => NewEvent[] | Promise<NewEvent[]>): Promise<void>;
}

/** Writers beyond which deltas wait twice as long: half as many commits are worth more to all of them by then. */
const CROWD = 25;

interface Waiting {
  pen: OwnersPen;
  events: StoredEvent[];
}

export interface EventLogOptions {
  db: Db;
  tail: Tail;
  windowMs: number;
  /** Told of what is committed, after its followers are. */
  onWritten(thread: LogOwner, events: readonly StoredEvent[]): void;
  logger: Logger;
}

export function createEventLog(options: EventLogOptions): EventLog {
  const { db, tail, windowMs, onWritten, logger } = options;
  const waiting = new Set<OwnersPen>();
  let flushing: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let lastFlush = 0;
  /** How many took part in the last flush. */
  let writers = 0;
  let closed = false;

  // At most one flush is under way; the first delta of a quiet process goes at once, those behind it share the next.
  function schedule(): void {
    if (flushing || timer || waiting.size === 0) return;
    const wait = lastFlush + (writers > CROWD ? 2 * windowMs : windowMs) - performance.now();
    if (wait <= 0) start();
    else timer = setTimeout(start, wait);
  }

  function start(): void {
    timer = null;
    lastFlush = performance.now();
    flushing = flush().finally(() => {
      flushing = null;
      schedule();
    });
  }

  async function flush(): Promise<void> {
    const batch: Waiting[] = [];
    const at = new Date();
    for (const pen of waiting) {
      const events = pen.take(at);
      if (events.length > 0) batch.push({ pen, events });
    }
    waiting.clear();
    writers = batch.length;
    if (batch.length === 0) return;
    try {
      await db.express.query(
        insertEvents(
          batch.flatMap(({ events }) => events),
          at,
        ),
      );
      written(batch);
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION || batch.length === 1) {
        for (const { pen } of batch) pen.fail(asLoss(error));
        return;
      }
      // One of them has lost its thread, and the others must not pay for it.
      for (const one of batch) {
        try {
          await db.express.query(insertEvents(one.events, at));
          written([one]);
        } catch (single) {
          one.pen.fail(asLoss(single));
        }
      }
    }
  }

  function written(batch: Waiting[]): void {
    // Later: what has come meanwhile leaves first, and the database stores it while these are told.
    setImmediate(() => {
      for (const { pen, events } of batch) publish(pen.thread, events);
    });
    for (const { pen } of batch) pen.done();
  }

  function publish(thread: LogOwner, events: StoredEvent[]): void {
    tail.publish(thread.id, events);
    onWritten(thread, events);
  }

  function append(tx: Tx, parts: { thread: LogOwner; after: number; events: NewEvent[] }[]): void {
    const at = new Date();
    const placed = parts
      .filter(({ events }) => events.length > 0)
      .map(({ thread, after, events }) => ({
        thread,
        events: events.map(
          ({ runId, body }, i): StoredEvent => ({ threadId: thread.id, number: after + 1 + i, runId, at, body }),
        ),
      }));
    if (placed.length === 0) return;
    tx.write(
      insertEvents(
        placed.flatMap(({ events }) => events),
        at,
      ),
    );
    // Whoever asked for it, and the worker that it wakes, go before those who watch.
    tx.afterCommit(() =>
      setImmediate(() => {
        for (const { thread, events } of placed) publish(thread, events);
      }),
    );
  }

  function enqueue(pen: OwnersPen): void {
    if (closed) throw new Error('the event log is closed');
    waiting.add(pen);
    schedule();
  }

  return {
    append(tx, thread, after, events) {
      append(tx, [{ thread, after, events }]);
      return after + events.length;
    },
    appendAll: append,
    pen: (thread, runId, after) => new OwnersPen(db, thread, runId, after, publish, enqueue),
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      timer = null;
      if (waiting.size > 0) {
        await flushing;
        await flush();
      }
      await flushing;
      await turn(); // what is written is told
      logger.debug('event log closed');
    },
  };
}

class OwnersPen implements Pen {
  readonly thread: LogOwner;
  readonly #db: Db;
  readonly #runId: string;
  readonly #publish: (thread: LogOwner, events: StoredEvent[]) => void;
  readonly #enqueue: (pen: OwnersPen) => void;
  readonly #loss = new AbortController();
  #last: number;
  #queue: EventBody[] = [];
  /** Characters of the last delta that waits. */
  #length = 0;
  #inFlight: PromiseWithResolvers<void> | null = null;

  constructor(
    db: Db,
    thread: LogOwner,
    runId: string,
    after: number,
    publish: (thread: LogOwner, events: StoredEvent[]) => void,
    enqueue: (pen: OwnersPen) => void,
  ) {
    this.#db = db;
    this.thread = thread;
    this.#runId = runId;
    this.#last = after;
    this.#publish = publish;
    this.#enqueue = enqueue;
  }

  get lost(): AbortSignal {
    return this.#loss.signal;
  }

  push(body: EventBody): void {
    this.#loss.signal.throwIfAborted();
    const before = this.#queue.at(-1);
    const length = lengthOf(body) ?? 0;
    if (before && this.#length + length <= MOST_TEXT && merge(before, body)) {
      this.#length += length;
      return;
    }
    this.#length = length;
    this.#queue.push(body);
    if (!this.#inFlight) this.#enqueue(this);
  }

  async commit(work: (tx: Tx, next: number) => NewEvent[] | Promise<NewEvent[]>): Promise<void> {
    // Numbers are given in the order of commits: what is on its way must have arrived.
    while (this.#inFlight) await this.#inFlight.promise;
    this.#loss.signal.throwIfAborted();
    this.#inFlight = Promise.withResolvers();
    const deltas = this.#queue;
    this.#queue = [];
    let events: StoredEvent[] = [];
    try {
      await this.#db.tx(async (tx) => {
        const more = await work(tx, this.#last + deltas.length + 1);
        const at = new Date();
        events = this.#number([...inRun(this.#runId, deltas), ...more], at);
        if (events.length > 0) tx.write(insertEvents(events, at));
      });
    } catch (error) {
      this.fail(asLoss(error));
      throw this.#loss.signal.reason;
    }
    if (events.length > 0) this.#publish(this.thread, events);
    this.done();
  }

  take(at: Date): StoredEvent[] {
    if (this.#inFlight || this.#queue.length === 0 || this.#loss.signal.aborted) return [];
    const events = this.#number(inRun(this.#runId, this.#queue), at);
    this.#queue = [];
    this.#inFlight = Promise.withResolvers();
    return events;
  }

  done(): void {
    this.#settle();
    if (this.#queue.length > 0) this.#enqueue(this);
  }

  fail(loss: unknown): void {
    this.#loss.abort(loss);
    this.#settle();
  }

  #settle(): void {
    this.#inFlight?.resolve();
    this.#inFlight = null;
  }

  #number(events: NewEvent[], at: Date): StoredEvent[] {
    return events.map(({ runId, body }) => ({ threadId: this.thread.id, number: ++this.#last, runId, at, body }));
  }
}

/** The number of a thread's last event, 0 when it has none. */
export async function last(q: Queryable, threadId: string): Promise<number> {
  const [row] = await q.query<{ last: number }>({
    name: 'event-last',
    text: 'select coalesce(max(number), 0)::int as last from event where thread_id = $1',
    values: [threadId],
  });
  return row!.last;
}

/** What is written together happened together. */
function insertEvents(events: StoredEvent[], at: Date): Sql {
  const threads: string[] = [];
  const numbers: number[] = [];
  const runs: (string | null)[] = [];
  const types: string[] = [];
  const payloads: string[] = [];
  for (const { threadId, number, runId, body } of events) {
    threads.push(threadId);
    numbers.push(number);
    runs.push(runId);
    types.push(body.type);
    payloads.push(encodeBody(body));
  }
  return {
    name: 'event-append',
    text: `insert into event (thread_id, number, run_id, type, payload, at)
select *, $6::timestamptz from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[])`,
    values: [threads, numbers, runs, types, payloads, at],
  };
}

const asLoss = (error: unknown): unknown =>
  sqlState(error) === UNIQUE_VIOLATION
    ? new FenceLostError('another owner has written to this thread', { cause: error })
    : error;
