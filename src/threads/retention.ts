import type { Db, Tx } from '../db/db.ts';
import { NotFoundError } from '../errors.ts';
import { deleteLogs } from '../events/compact.ts';
import type { EventLog } from '../events/log.ts';
import { idAt } from '../ids.ts';
import { eraseThread, lockThread } from './threads.ts';

/** Threads that are looked at with one statement, and pages of one turn: the rest of a large database comes next time. */
const PAGE = 500;
const PAGES = 20;

/** Deletes texts of a run that is removed which count for nothing: they are in no connection and no prompt. */
export function deleteSuperseded(tx: Tx, runId: string): void {
  tx.write({
    name: 'message-delete-superseded',
    text: `delete from message where run_id = $1 and incomplete_reason = 'SUPERSEDED'`,
    values: [runId],
  });
}

/** Nothing has happened in it and nobody has changed it since `$2`. */
const IDLE = `t.deleted_at is null and t.active_run_id is null and t.updated_at < $2 and not exists (
  select 1 from event e where e.thread_id = t.id and e.number = (select max(number) from event where thread_id = t.id)
  and e.at >= $2)`;

/**
 * Deletes threads in which nothing has happened for `afterMs`, as a caller would: those who follow them are told. The
 * answer is one turn of a walk through all threads that are old enough, oldest first, which begins anew behind the last.
 */
export function createIdleThreads({ db, log, afterMs }: { db: Db; log: EventLog; afterMs: number }) {
  let place = '';

  const readPage = (before: Date) =>
    db.query<{ id: string; projectId: string; idle: boolean }>({
      name: 'thread-idle-page',
      text: `select t.id, t.project_id as "projectId", ${IDLE} as idle from thread t
where t.id > $1 and t.id < $3 order by t.id limit $4`,
      values: [place, before, idAt('Thread', before), PAGE],
    });

  const erase = (projectId: string, id: string, before: Date): Promise<boolean> =>
    db.tx(async (tx) => {
      const thread = await lockThread(tx, projectId, id);
      const still = await tx.query({
        name: 'thread-still-idle',
        text: `select 1 from thread t where t.id = $1 and ${IDLE}`,
        values: [id, before],
      });
      if (still.length > 0) eraseThread(tx, log, thread);
      return still.length > 0;
    });

  return async (signal: AbortSignal): Promise<{ threads: number }> => {
    const done = { threads: 0 };
    const before = new Date(Date.now() - afterMs);
    for (let pages = 0; pages < PAGES && !signal.aborted; pages++) {
      const page = await readPage(before);
      for (const { id, projectId, idle } of page) {
        if (signal.aborted) return done;
        if (idle && (await erase(projectId, id, before).catch(unlessGone))) done.threads += 1;
        place = id;
      }
      if (page.length < PAGE) {
        place = '';
        break;
      }
    }
    return done;
  };
}

/** Somebody has deleted it first. */
function unlessGone(error: unknown): false {
  if (error instanceof NotFoundError) return false;
  throw error;
}

/** Forgets threads that were deleted `afterMs` ago: who still comes back with a cursor then is told that there is no such thread. */
export async function forgetDeletedThreads(
  { db, afterMs }: { db: Db; afterMs: number },
  signal: AbortSignal,
): Promise<{ tombstones: number }> {
  const done = { tombstones: 0 };
  while (!signal.aborted) {
    const gone = await db.tx(async (tx) => {
      const rows = await tx.query<{ id: string }>({
        name: 'thread-forget',
        text: `delete from thread where id = any(array(select id from thread
where deleted_at < now() - $1 * interval '1 millisecond' order by deleted_at limit $2)) returning id`,
        values: [afterMs, PAGE],
      });
      const ids = rows.map(({ id }) => id);
      deleteLogs(tx, ids);
      return ids.length;
    });
    done.tombstones += gone;
    if (gone < PAGE) break;
  }
  return done;
}
