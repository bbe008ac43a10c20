import type { Logger } from 'pino';
import type { Db, Queryable } from '../db/db.ts';
import { decodeBody, type StoredEvent } from './event.ts';

/** Events a follower keeps for a reader that is slower than the log; beyond it, the reader is sent back to the log. */
const QUEUE_LIMIT = 512;
/** Events read from the log at once. */
const PAGE = 512;

/**
 * The one reader of the log in this process: followers of a thread share what it hears of. A publication carries
 * committed events and is only a hint: one that does not continue where a follower stands sends that follower to the
 * log, and a slow poll covers those that were never heard.
 */
export interface Tail {
  /** Tells followers of events that are committed. */
  publish(threadId: string, events: StoredEvent[]): void;
  /** Follows a thread's log from behind event `after`. */
  follow(threadId: string, after: number): Follower;
  /** Followers that are open: for tests and for health. */
  readonly followers: number;
  /** Whether every follower has handed out all that it heard of and waits for more. */
  readonly caughtUp: boolean;
  close(): void;
}

export interface Follower {
  /**
   * The next events, in order, never empty; null once the follower or the tail is closed. One call at a time.
   */
  next(): Promise<StoredEvent[] | null>;
  /** Goes on from behind event `after` instead. */
  seek(after: number): void;
  close(): void;
}

export function createTail(options: { db: Db; pollMs: number; logger: Logger }): Tail {
  const { db, pollMs, logger } = options;
  const threads = new Map<string, Set<ThreadFollower>>();
  let count = 0;
  let polling = false;
  let closed = false;
  let timer: NodeJS.Timeout | null = null;

  async function poll(): Promise<void> {
    if (polling || threads.size === 0) return;
    polling = true;
    try {
      const rows = await db.query<{ threadId: string; last: number }>({
        name: 'event-poll',
        text: `select t.id as "threadId", e.number as last from unnest($1::text[]) t(id)
cross join lateral (select number from event where thread_id = t.id order by number desc limit 1) e`,
        values: [[...threads.keys()]],
      });
      for (const { threadId, last } of rows) for (const follower of threads.get(threadId) ?? []) follower.heard(last);
    } catch (error) {
      logger.warn({ err: error }, 'polling the event log failed; trying again');
    } finally {
      polling = false;
    }
  }

  function leave(follower: ThreadFollower): void {
    const all = threads.get(follower.threadId);
    if (!all?.delete(follower)) return;
    count -= 1;
    if (all.size === 0) threads.delete(follower.threadId);
    if (threads.size === 0 && timer) {
      clearInterval(timer);
      timer = null;
    }
  }

  return {
    publish(threadId, events) {
      for (const follower of threads.get(threadId) ?? []) follower.offer(events);
    },
    follow(threadId, after) {
      if (closed) throw new Error('the tail is closed');
      const follower = new ThreadFollower(db, threadId, after, leave);
      let all = threads.get(threadId);
      if (!all) threads.set(threadId, (all = new Set()));
      all.add(follower);
      count += 1;
      timer ??= setInterval(() => void poll(), pollMs);
      return follower;
    },
    get followers() {
      return count;
    },
    get caughtUp() {
      return [...threads.values()].every((all) => [...all].every((follower) => follower.waits));
    },
    close() {
      closed = true;
      for (const all of [...threads.values()]) for (const follower of [...all]) follower.close();
    },
  };
}

class ThreadFollower implements Follower {
  readonly threadId: string;
  readonly #q: Queryable;
  readonly #leave: (follower: ThreadFollower) => void;
  /** The last event handed out, and the last one that waits in the queue. */
  #position: number;
  #queue: StoredEvent[] = [];
  /** Whether the log may hold more than the queue does. */
  #behind = true;
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(q: Queryable, threadId: string, after: number, leave: (follower: ThreadFollower) => void) {
    this.#q = q;
    this.threadId = threadId;
    this.#position = after;
    this.#leave = leave;
  }

  get #end(): number {
    return this.#queue.at(-1)?.number ?? this.#position;
  }

  get waits(): boolean {
    return this.#wake !== null;
  }

  offer(events: StoredEvent[]): void {
    const end = this.#end;
    const last = events.at(-1)!.number;
    if (last <= end) return;
    if (this.#behind || events[0]!.number > end + 1 || this.#queue.length + events.length > QUEUE_LIMIT) {
      this.#behind = true;
    } else {
      for (const event of events) if (event.number > end) this.#queue.push(event);
    }
    this.#wake?.();
  }

  heard(last: number): void {
    if (last <= this.#end) return;
    this.#behind = true;
    this.#wake?.();
  }

  seek(after: number): void {
    this.#position = after;
    this.#queue = [];
    this.#behind = true;
  }

  async next(): Promise<StoredEvent[] | null> {
    while (!this.#closed) {
      if (this.#queue.length > 0) {
        const events = this.#queue;
        this.#queue = [];
        this.#position = events.at(-1)!.number;
        return events;
      }
      if (this.#behind) {
        this.#behind = false; // before the read: what is published while it runs must not be lost
        const events = await readEvents(this.#q, this.threadId, this.#position, PAGE);
        if (events.length > 0) {
          this.#position = events.at(-1)!.number;
          this.#queue = this.#queue.filter((event) => event.number > this.#position);
          if (events.length === PAGE || (this.#queue.length > 0 && this.#queue[0]!.number > this.#position + 1)) {
            this.#queue = [];
            this.#behind = true;
          }
          return events;
        }
        if (this.#queue.length > 0 && this.#queue[0]!.number > this.#position + 1) {
          this.#queue = [];
          this.#behind = true;
        }
        continue;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
    return null;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#leave(this);
    this.#wake?.();
  }
}

/** Reads a thread's log behind event `after`, at most `limit` events. */
export async function readEvents(q: Queryable, threadId: string, after: number, limit: number): Promise<StoredEvent[]> {
  const rows = await q.query<{ number: number; runId: string | null; payload: string; at: Date }>({
    name: 'event-read',
    text: `select number, run_id as "runId", payload, at from event
where thread_id = $1 and number > $2 order by number limit $3`,
    values: [threadId, after, limit],
  });
  return rows.map(({ number, runId, payload, at }) => ({
    threadId,
    number,
    runId,
    at,
    body: decodeBody(payload),
  }));
}
