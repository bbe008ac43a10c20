import type { Db } from '../db/db.ts';
import { deleteDeltas } from '../events/compact.ts';
import { raiseLogFrom, takeThreadInPassing } from '../threads/log-from.ts';

/** Runs that are looked up at once. */
const PAGE = 100;
/** Deltas that one transaction deletes: a few milliseconds in which nobody else can change the thread. */
const STEP = 1000;

/** A run that is final; its last event is null when it ended without ever having had its thread. */
export interface EndedRun {
  id: string;
  threadId: string;
  firstEvent: number | null;
  lastEvent: number | null;
  endedAt: Date;
}

/**
 * Deletes the deltas of runs that have been final for `afterMs`: what they have added up to is in the rows of messages
 * and steps. Whoever then comes with a cursor from before their end gets a snapshot. One short transaction after the
 * other, each of which leaves the log as it says that it is; a thread that somebody is changing is left to the next turn.
 */
export async function compactRuns(
  { db, afterMs }: { db: Db; afterMs: number },
  signal: AbortSignal,
): Promise<{ runs: number; deltas: number }> {
  const done = { runs: 0, deltas: 0 };
  let place: Place = { endedAt: new Date(0), id: '' };
  for (;;) {
    const due = await readDue(db, afterMs, place);
    for (const run of due) {
      for (let more = true; more;) {
        if (signal.aborted) return done;
        const step = await compactStep(db, run);
        more = step !== null && !step.whole;
        done.deltas += step?.deltas ?? 0;
        if (step?.whole) done.runs += 1;
      }
    }
    if (due.length < PAGE) return done;
    place = due.at(-1)!;
  }
}

type Place = Pick<EndedRun, 'endedAt' | 'id'>;

const readDue = (db: Db, afterMs: number, { endedAt, id }: Place): Promise<EndedRun[]> =>
  db.query({
    name: 'run-compact-due',
    // Who was taken out of the line is told of by whoever has the thread, and keeps its place until then.
    text: `select id, thread_id as "threadId", first_event as "firstEvent", last_event as "lastEvent", ended_at as "endedAt"
from run where ended_at is not null and not compacted and line is null
and ended_at < now() - $1 * interval '1 millisecond' and (ended_at, id) > ($2, $3) order by ended_at, id limit $4`,
    values: [afterMs, endedAt, id, PAGE],
  });

/** Null when the thread is not to be had now, or the run is gone or compacted. */
const compactStep = (db: Db, run: EndedRun): Promise<{ deltas: number; whole: boolean } | null> =>
  db.tx(async (tx) => {
    // One round trip for both; the thread first, as everybody does.
    const [taken, [due]] = await Promise.all([
      takeThreadInPassing(tx, run.threadId),
      tx.query({
        name: 'run-compact-lock',
        text: 'select 1 from run where id = $1 and not compacted for update skip locked',
        values: [run.id],
      }),
    ]);
    if (!taken || !due) return null;
    const stretch = { threadId: run.threadId, from: run.firstEvent ?? 0, to: run.lastEvent ?? 0 };
    const { events, last } = await deleteDeltas(tx, stretch, run.id, STEP);
    if (last !== null) raiseLogFrom(tx, run.threadId, last);
    const whole = events < STEP;
    if (whole) {
      tx.write({ name: 'run-compacted', text: 'update run set compacted = true where id = $1', values: [run.id] });
    }
    return { deltas: events, whole };
  });
