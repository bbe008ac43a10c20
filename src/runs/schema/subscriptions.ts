import type { Db, Tx } from '../../db/db.ts';
import { numberOf } from '../../events/event.ts';
import { last } from '../../events/log.ts';
import { type Follower, readEvents, type Tail } from '../../events/tail.ts';
import { builder } from '../../graphql/builder.ts';
import { type Context, seesThread } from '../../graphql/context.ts';
import { RequestError } from '../../graphql/errors.ts';
import { EventSource, Snapshot } from '../../graphql/event-source.ts';
import { Load } from '../../graphql/load.ts';
import { nounOf } from '../../ids.ts';
import { threadById } from '../../threads/schema/thread.ts';
import { readTombstone } from '../../threads/threads.ts';
import type { Run as RunRow } from '../run.ts';
import { isFinal } from '../status.ts';
import { type Delivered, RunEvent, ThreadEvent } from './events.ts';
import { runById } from './run.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    tail: Tail;
  }
}

type Item = Delivered | Snapshot<Delivered>;

const AFTER =
  'A cursor: only what stands behind it, without a gap or a repetition. Without it the subscription begins with a snapshot; so it does, or goes on with one, where the log no longer reaches back to where its reader stands. A cursor of another thread, or beyond the end of the log, is UNKNOWN_CURSOR.';

builder.subscriptionField('runEvents', (t) =>
  t.field({
    type: RunEvent,
    description: "A run as it happens. Ends by itself behind the run's last event; REQUIRES_ACTION is not the last.",
    args: {
      runId: t.arg.id({ required: true, description: 'Id of the run.' }),
      after: t.arg.string({ description: AFTER }),
    },
    subscribe: (_root, { runId, after }, context) =>
      followRun(context, runId, after ?? null) as AsyncIterable<never> | Promise<AsyncIterable<never>>,
    extensions: { delivers: true },
    resolve: (event) => event as Delivered,
  }),
);

builder.subscriptionField('threadEvents', (t) =>
  t.field({
    type: ThreadEvent,
    description:
      'All runs of a thread as they happen, and messages that callers add or delete. Ends with ThreadDeleted only.',
    args: {
      threadId: t.arg.id({ required: true, description: 'Id of the thread.' }),
      after: t.arg.string({ description: AFTER }),
    },
    subscribe: (_root, { threadId, after }, context) =>
      followThread(context, threadId, after ?? null) as Promise<AsyncIterable<never>>,
    extensions: { delivers: true },
    resolve: (event) => event as Delivered,
  }),
);

async function followRun(context: Context, runId: string, after: string | null): Promise<AsyncIterable<Item>> {
  const run = await context.load.one(runById, runId);
  if (!run) throw new RequestError('NOT_FOUND', `No run found with id '${runId}'.`);
  const { threadId } = run;
  // Before its first event nothing is told of it; one that stands in line has none yet.
  const start = (run.firstEvent ?? 1) - 1;
  const from = after === null ? null : Math.max(await placeOf(context.db, threadId, after), start);
  // A run that had ended before the cursor has nothing more to say.
  let ended = from !== null && run.lastEvent !== null && from >= run.lastEvent;
  const follower = context.rooms.tail.follow(threadId, from ?? start);
  const snapshot = async (load: Load): Promise<Delivered> => {
    const now = await load.one(runById, runId);
    if (!now) throw new RequestError('NOT_FOUND', `No run found with id '${runId}'.`);
    follower.seek(now.logEnd);
    ended = isFinal(now.status);
    return { snapshot: 'run', at: new Date(), run: now };
  };
  return source(context, follower, from === null, snapshot, async () => {
    if (ended) return null;
    const events = await follower.next();
    if (events === null || events === 'gap') return events;
    const wanted = events.filter((event) => event.runId === runId);
    ended ||= wanted.some(({ body }) => body.type === 'RunStatusChanged' && isFinal((body.run as RunRow).status));
    ended ||= events.some(({ body }) => body.type === 'ThreadDeleted');
    return wanted;
  });
}

async function followThread(context: Context, threadId: string, after: string | null): Promise<AsyncIterable<Item>> {
  const { db, viewer, rooms } = context;
  const notFound = new RequestError('NOT_FOUND', `No thread found with id '${threadId}'.`);
  if (!seesThread(context, threadId)) throw notFound;
  const thread = await context.load.one(threadById, threadId);
  // A reader that comes back to a thread which was deleted meanwhile is told so by the event that it missed.
  const known =
    thread ??
    (after !== null && nounOf(threadId) === 'Thread' && (await readTombstone(db, viewer.projectId, threadId)));
  if (!known) throw notFound;
  const from = after === null ? null : await placeOf(db, threadId, after);
  // Behind ThreadDeleted nothing is left to wait for.
  let ended = !thread && from === (await last(db, threadId));
  const follower = rooms.tail.follow(threadId, from ?? 0);
  const snapshot = async (load: Load, tx: Tx): Promise<Delivered> => {
    const now = await load.one(threadById, threadId);
    if (now) {
      follower.seek(now.lastEvent);
      return { snapshot: 'thread', at: new Date(), thread: now };
    }
    // It was deleted after it had been found: its one event says so.
    const [end] = await readEvents(tx, threadId, 0, 1);
    if (!end) throw notFound;
    ended = true;
    return end;
  };
  return source(context, follower, from === null, snapshot, async () => {
    if (ended) return null;
    const events = await follower.next();
    if (events === null || events === 'gap') return events;
    ended = events.some(({ body }) => body.type === 'ThreadDeleted');
    return events;
  });
}

/**
 * What the follower brings, and a snapshot in place of what the log no longer holds: of everything before, when a
 * reader `begins` without a cursor, or of what is gone since its own. All that is loaded while a snapshot is delivered
 * is read in one repeatable-read transaction, together with the place from which the follower goes on.
 */
function source(
  { db, viewer }: Context,
  follower: Follower,
  begins: boolean,
  snapshot: (load: Load, tx: Tx) => Promise<Delivered>,
  read: () => Promise<readonly Item[] | 'gap' | null>,
): EventSource<Item> {
  const taken = new Snapshot<Delivered>((deliver) =>
    db.tx(async (tx) => {
      const load = new Load(tx, viewer);
      return deliver(await snapshot(load, tx), load);
    }, 'snapshot'),
  );
  const next = async (): Promise<readonly Item[] | null> => {
    const items = begins ? 'gap' : await read();
    begins = false;
    return items === 'gap' ? [taken] : items;
  };
  return new EventSource<Item>(next, () => follower.close());
}

async function placeOf(db: Db, threadId: string, cursor: string): Promise<number> {
  const number = numberOf(threadId, cursor);
  if (number === null || number > (await last(db, threadId))) {
    const shown = cursor.length > 80 ? `${cursor.slice(0, 80)}…` : cursor;
    throw new RequestError('UNKNOWN_CURSOR', `'${shown}' is not a cursor of ${threadId}.`);
  }
  return number;
}
