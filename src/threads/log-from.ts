import type { Tx } from '../db/db.ts';

/**
 * Takes a thread for a transaction that will delete from its log, unless somebody is changing the thread right now or
 * it was deleted: false then. Never waits, and lets whoever executes a run of the thread go on with it.
 */
export async function takeThreadInPassing(tx: Tx, threadId: string): Promise<boolean> {
  const rows = await tx.query({
    name: 'thread-take-in-passing',
    // Not `for update`: every message that is inserted shares the key of its thread.
    text: 'select 1 from thread where id = $1 and deleted_at is null for no key update skip locked',
    values: [threadId],
  });
  return rows.length > 0;
}

/** Says that events up to this number are gone: who stood before it begins again with a snapshot. */
export function raiseLogFrom(tx: Tx, threadId: string, number: number): void {
  tx.write({
    name: 'thread-raise-log-from',
    text: 'update thread set log_from = greatest(log_from, $2) where id = $1',
    values: [threadId, number],
  });
}
