import type { Logger } from 'pino';
import type { Db, Queryable } from '../db/db.ts';
import type { Wake } from '../work/wake.ts';
import { decodeBody, type StoredEvent } from './event.ts';
import { type Follower, ThreadFollower } from './follower.ts';
import { createLogReader } from './log-reader.ts';
import { createWire } from './wire.ts';

export type { Follower } from './follower.ts';

/**
 * The one reader of the log in this process: followers of a thread share what it hears of. A publication carries
 * committed events and is only a hint: one that does not continue where a follower stands sends that follower to the
 * log, which all of them read together, and a slow poll covers those that were never heard.
 */
export interface Tail {
  /** Tells followers of events that are committed, in this process and in others. */
  publish(threadId: string, events: StoredEvent[]): void;
  /** Follows a thread's log from behind event `after`. */
  follow(threadId: string, after: number): Follower;
  /** Followers that are open: for tests and for health. */
  readonly followers: number;
  /** Whether every follower has handed out all that it heard of and waits for more. */
  readonly caughtUp: boolean;
  close(): void;
}

interface Followed {
  followers: Set<ThreadFollower>;
  /** Stops hearing of the thread from other processes. */
  off(): void;
}

export function createTail(options: { db: Db; wake: Wake; pollMs: number; logger: Logger }): Tail {
  const { db, wake, pollMs, logger } = options;
  const threads = new Map<string, Followed>();
  const log = createLogReader(db);
  let count = 0;
  let polling = false;
  /** Whether something was missed since the poll that is under way has begun. */
  let again = false;
  let closed = false;
  let timer: NodeJS.Timeout | null = null;

  const wire = createWire(wake, {
    events: (threadId, events) => each(threadId, (follower) => follower.offer(events)),
    grew: (threadId, last) => each(threadId, (follower) => follower.heard(last)),
    missed(threadId) {
      if (threadId !== null) return each(threadId, (follower) => follower.look());
      again = polling;
      void poll();
    },
  });

  function each(threadId: string, tell: (follower: ThreadFollower) => void): void {
    for (const follower of threads.get(threadId)?.followers ?? []) tell(follower);
  }

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
      for (const { threadId, last } of rows) each(threadId, (follower) => follower.heard(last));
    } catch (error) {
      logger.warn({ err: error }, 'polling the event log failed; trying again');
    } finally {
      polling = false;
    }
    if (!again) return;
    again = false;
    await poll();
  }

  function leave(follower: ThreadFollower): void {
    const thread = threads.get(follower.threadId);
    if (!thread?.followers.delete(follower)) return;
    count -= 1;
    if (thread.followers.size === 0) {
      threads.delete(follower.threadId);
      thread.off();
    }
    if (threads.size === 0 && timer) {
      clearInterval(timer);
      timer = null;
    }
  }

  return {
    publish(threadId, events) {
      each(threadId, (follower) => follower.offer(events));
      wire.tell(threadId, events);
    },
    follow(threadId, after) {
      const follower = new ThreadFollower(log, threadId, after, leave);
      // Whoever asks this late was cut off while asking: nobody is there to take its end for the log's.
      if (closed) {
        follower.close();
        return follower;
      }
      let thread = threads.get(threadId);
      if (!thread) threads.set(threadId, (thread = { followers: new Set(), off: wire.hear(threadId) }));
      thread.followers.add(follower);
      count += 1;
      timer ??= setInterval(() => void poll(), pollMs);
      return follower;
    },
    get followers() {
      return count;
    },
    get caughtUp() {
      return [...threads.values()].every(({ followers }) => [...followers].every((follower) => follower.waits));
    },
    close() {
      closed = true;
      for (const { followers } of [...threads.values()]) for (const follower of [...followers]) follower.close();
      wire.close();
    },
  };
}

/** Reads a thread's log behind event `after`, at most `limit` events, as part of somebody's transaction. */
export async function readEvents(q: Queryable, threadId: string, after: number, limit: number): Promise<StoredEvent[]> {
  const rows = await q.query<{ number: number; runId: string | null; payload: string; at: Date }>({
    name: 'event-page',
    text: `select number, run_id as "runId", payload, at from event
where thread_id = $1 and number > $2 order by number limit $3`,
    values: [threadId, after, limit],
  });
  return rows.map(({ payload, ...row }) => ({ ...row, threadId, body: decodeBody(payload) }));
}
