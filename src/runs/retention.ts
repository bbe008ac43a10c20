import type { Db } from '../db/db.ts';
import { deleteStretch } from '../events/compact.ts';
import { idAt } from '../ids.ts';
import { raiseLogFrom, takeThreadInPassing } from '../threads/log-from.ts';
import { deleteSuperseded } from '../threads/retention.ts';
import type { EndedRun } from './compaction.ts';

/** Runs that are looked up at once. */
const PAGE = 100;
/** Events that one transaction deletes. */
const STEP = 1000;

/**
 * Removes runs that have been final for `afterMs`, with their steps and with the log up to their end. What they said
 * stays in their threads. One short transaction after the other; a thread that somebody is changing is left to the next
 * turn.
 */
export async function removeOldRuns(
  { db, afterMs }: { db: Db; afterMs: number },
  signal: AbortSignal,
): Promise<{ runs: number }> {
  const done = { runs: 0 };
  const before = new Date(Date.now() - afterMs);
  let place = '';
  for (;;) {
    const old = await readOld(db, before, place);
    for (const run of old) {
      for (let more = true; more;) {
        if (signal.aborted) return done;
        const step = await removeStep(db, run);
        more = step === 'more';
        if (step === 'removed') done.runs += 1;
      }
    }
    if (old.length < PAGE) return done;
    place = old.at(-1)!.id;
  }
}

const readOld = (db: Db, before: Date, place: string): Promise<EndedRun[]> =>
  db.query({
    name: 'run-old',
    // No run ends before its id was minted, so the primary key leads to them. What a run that goes on stands behind is
    // kept for it: those that left the line are told of between its events.
    text: `select id, thread_id as "threadId", first_event as "firstEvent", last_event as "lastEvent", ended_at as "endedAt"
from run r where id > $1 and id < $2 and ended_at < $3 and line is null and not exists (
  select 1 from run o join thread t on o.id = t.active_run_id where t.id = r.thread_id and o.first_event < r.last_event
) order by id limit $4`,
    values: [place, idAt('Run', before), before, PAGE],
  });

const removeStep = (db: Db, run: EndedRun): Promise<'more' | 'removed' | 'left'> =>
  db.tx(async (tx) => {
    const { id, threadId, lastEvent } = run;
    if (!(await takeThreadInPassing(tx, threadId))) return 'left';
    const { events, last } = await deleteStretch(tx, { threadId, from: 0, to: lastEvent ?? 0 }, STEP);
    if (events === STEP) {
      raiseLogFrom(tx, threadId, last!);
      return 'more';
    }
    // Up to its end and not only to the last that was deleted: nothing that tells of it is read again.
    raiseLogFrom(tx, threadId, lastEvent ?? 0);
    deleteSuperseded(tx, id);
    const gone = await tx.query({
      name: 'run-remove',
      text: 'delete from run where id = $1 returning 1',
      values: [id],
    });
    return gone.length > 0 ? 'removed' : 'left';
  });
