import type { Tx } from '../db/db.ts';
import { byCaller, inRun, type NewEvent } from '../events/event.ts';
import { MESSAGES_PER_THREAD, type NewMessage } from '../threads/message.ts';
import { holdThread, insertMessages } from '../threads/threads.ts';
import type { Wake } from '../work/wake.ts';
import { preferWorker, RUN_COLUMNS, saveEntered, saveOutOfLine } from './rows.ts';
import { moved, type Run } from './run.ts';

/** Runs that may wait for one thread. */
export const LINE_LIMIT = 100;

/**
 * The line of runs that wait for a thread. Whoever has the thread locked may stand a run in line or take one out; what
 * the thread's log says of them is written by whoever holds the thread, and by nobody before: the places in the log are
 * theirs. A run that was taken out keeps its place until the log has told of it.
 */
export interface Line {
  /** Who stands in line, locked, first one first. The caller has the thread locked. */
  read(tx: Tx, threadId: string): Promise<Waiting[]>;
  /**
   * Gives a thread that its holder has just freed to the run that is first in line, with what its caller says with it,
   * and tells of those that were taken out. `next` is the number that the first of the events will have.
   */
  handOver(tx: Tx, threadId: string, waiting: Waiting[], next: number): NewEvent[];
  /** Tells of those that were taken out, and of nobody else. */
  tell(tx: Tx, waiting: Waiting[], next: number): NewEvent[];
}

export interface Waiting extends Run {
  line: number;
  pendingMessages: NewMessage[] | null;
  /** Position of its thread's last message. */
  lastPosition: number;
}

export function createLine({ wake, expiresAfterMs }: { wake: Wake; expiresAfterMs: number }): Line {
  /** Takes a run out of the line in the log: its first event is what it would have begun with. */
  function leave(tx: Tx, waiting: Waiting, next: number, end: (queued: Run) => Run[]): NewEvent[] {
    const queued: Run = { ...runOf(waiting), status: 'QUEUED', firstEvent: next, cancelledAt: null };
    const statuses = [queued, ...end(queued)];
    const last = statuses.at(-1)!;
    last.lastEvent = next + statuses.length - 1;
    saveOutOfLine(tx, last);
    return inRun(
      waiting.id,
      statuses.map((run) => ({ type: 'RunStatusChanged', run })),
    );
  }

  const cancelled = (tx: Tx, waiting: Waiting, next: number) =>
    leave(tx, waiting, next, (queued) => {
      const cancelling = moved(queued, 'CANCELLING');
      return [cancelling, moved(cancelling, 'CANCELLED', { cancelledAt: waiting.cancelledAt })];
    });

  const full = (tx: Tx, waiting: Waiting, next: number) =>
    leave(tx, waiting, next, (queued) => {
      const message = `A thread holds at most ${MESSAGES_PER_THREAD} messages: there was no room for what was to be said with this run.`;
      return [moved(queued, 'FAILED', { lastError: { code: 'INVALID_PROMPT', message }, failedAt: new Date() })];
    });

  function enter(tx: Tx, waiting: Waiting, next: number): NewEvent[] {
    const { threadId, projectId, lastPosition, pendingMessages } = waiting;
    const place = { id: threadId, projectId, activeRunId: null, lastEvent: next - 1, lastPosition, codeWorker: null };
    const messages = insertMessages(tx, place, pendingMessages ?? []);
    const run: Run = {
      ...runOf(waiting),
      firstEvent: next + messages.length,
      expiresAt: new Date(Date.now() + expiresAfterMs),
    };
    saveEntered(tx, run);
    preferWorker(tx, run.id);
    holdThread(tx, threadId, run.id);
    tx.afterCommit(() => wake.wake('work'));
    return [...byCaller(messages), ...inRun(run.id, [{ type: 'RunStatusChanged', run }])];
  }

  const isOut = ({ status }: Waiting) => status === 'CANCELLED';
  const tell: Line['tell'] = (tx, waiting, next) => {
    const events: NewEvent[] = [];
    for (const each of waiting.filter(isOut)) events.push(...cancelled(tx, each, next + events.length));
    return events;
  };

  return {
    read: (tx, threadId) =>
      tx.query<Waiting>({
        name: 'run-line',
        text: `select ${RUN_COLUMNS}, r.line, r.pending_messages as "pendingMessages",
(select coalesce(max(position), 0)::int from message where thread_id = $1) as "lastPosition"
from run r where thread_id = $1 and line is not null order by line for update`,
        values: [threadId],
      }),
    tell,
    handOver(tx, threadId, waiting, next) {
      const events = tell(tx, waiting, next);
      for (const each of waiting.filter((other) => !isOut(other))) {
        const fits = each.lastPosition + (each.pendingMessages?.length ?? 0) <= MESSAGES_PER_THREAD;
        if (fits) return [...events, ...enter(tx, each, next + events.length)];
        events.push(...full(tx, each, next + events.length));
      }
      holdThread(tx, threadId, null);
      return events;
    },
  };
}

function runOf({ line: _line, pendingMessages: _messages, lastPosition: _position, ...run }: Waiting): Run {
  return run;
}
