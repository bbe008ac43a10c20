import type { Tx } from '../db/db.ts';

/** Deletions from the log. Their caller holds the thread's row and says in it how far the log is gone. */

/** What was deleted: how many events, and the highest number of them; null when there was nothing. */
export interface Gone {
  events: number;
  last: number | null;
}

/** A stretch of a thread's log, both ends included. */
export interface Stretch {
  threadId: string;
  from: number;
  to: number;
}

/**
 * Deletes the deltas of a run that is final, the lowest numbers first and at most `limit` of them. What they have added
 * up to is in the run's rows.
 */
export const deleteDeltas = (tx: Tx, { threadId, from, to }: Stretch, runId: string, limit: number): Promise<Gone> =>
  deleteSome(
    tx,
    'event-delete-deltas',
    `select number from event where thread_id = $1 and number between $2 and $3
and run_id = $5 and type in ('MessageDelta', 'RunStepDelta') order by number limit $4`,
    [threadId, from, to, limit, runId],
  );

/**
 * Deletes whatever stands in a stretch of the log, the lowest numbers first and at most `limit`, but for the log's last
 * event: it says which number comes next.
 */
export const deleteStretch = (tx: Tx, { threadId, from, to }: Stretch, limit: number): Promise<Gone> =>
  deleteSome(
    tx,
    'event-delete-stretch',
    `select number from event where thread_id = $1 and number between $2 and $3
and number < (select max(number) from event where thread_id = $1) order by number limit $4`,
    [threadId, from, to, limit],
  );

/** An array, not a join: the plan is made once, for threads of every length. */
async function deleteSome(tx: Tx, name: string, numbers: string, values: unknown[]): Promise<Gone> {
  const [gone] = await tx.query<Gone>({
    name,
    text: `with gone as (delete from event where thread_id = $1 and number = any(array(${numbers})) returning number)
select count(*)::int as events, max(number) as last from gone`,
    values,
  });
  return gone!;
}

/** Deletes all that is left of the logs of threads that are no longer known. */
export function deleteLogs(tx: Tx, threadIds: readonly string[]): void {
  tx.write({ name: 'event-delete-logs', text: 'delete from event where thread_id = any($1)', values: [threadIds] });
}
