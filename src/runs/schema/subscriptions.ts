import type { Db } from '../../db/db.ts';
import { numberOf, type StoredEvent } from '../../events/event.ts';
import { last } from '../../events/log.ts';
import type { Follower, Tail } from '../../events/tail.ts';
import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
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
  'A cursor: only what stands behind it, without a gap or a repetition. Without it the subscription begins with a snapshot. A cursor of another thread, or beyond the end of the log, is UNKNOWN_CURSOR.';

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
  const { threadId, firstEvent } = run;
  const from = after === null ? null : Math.max(await placeOf(context.db, threadId, after), firstEvent - 1);
  // A run that had ended before the cursor has nothing more to say.
  let ended = from !== null && run.lastEvent !== null && from >= run.lastEvent;
  const follower = context.rooms.tail.follow(threadId, from ?? firstEvent - 1);
  const mine = (events: StoredEvent[]): StoredEvent[] => {
    const wanted = events.filter((event) => event.runId === runId);
    ended ||= wanted.some(({ body }) => body.type === 'RunStatusChanged' && isFinal((body.run as RunRow).status));
    ended ||= events.some(({ body }) => body.type === 'ThreadDeleted');
    return wanted;
  };
  const snapshot = async (load: Load): Promise<Delivered> => {
    const now = await load.one(runById, runId);
    if (!now) throw new RequestError('NOT_FOUND', `No run found with id '${runId}'.`);
    follower.seek(now.logEnd);
    ended = isFinal(now.status);
    return { snapshot: 'run', at: new Date(), run: now };
  };
  return source(context, follower, from === null ? snapshot : null, async () => {
    const events = ended ? null : await follower.next();
    return events && mine(events);
  });
}

async function followThread(context: Context, threadId: string, after: string | null): Promise<AsyncIterable<Item>> {
  const { db, viewer, rooms } = context;
  const thread = await context.load.one(threadById, threadId);
  // A reader that comes back to a thread which was deleted meanwhile is told so by the event that it missed.
  const known =
    thread ??
    (after !== null && nounOf(threadId) === 'Thread' && (await readTombstone(db, viewer.projectId, threadId)));
  if (!known) throw new RequestError('NOT_FOUND', `No thread found with id '${threadId}'.`);
  const from = after === null ? null : await placeOf(db, threadId, after);
  // Behind ThreadDeleted nothing is left to wait for.
  let ended = !thread && from === (await last(db, threadId));
  const follower = rooms.tail.follow(threadId, from ?? 0);
  const snapshot = async (load: Load): Promise<Delivered> => {
    const now = await load.one(threadById, threadId);
    if (!now) throw new RequestError('NOT_FOUND', `No thread found with id '${threadId}'.`);
    follower.seek(now.lastEvent);
    return { snapshot: 'thread', at: new Date(), thread: now };
  };
  return source(context, follower, from === null ? snapshot : null, async () => {
    const events = ended ? null : await follower.next();
    ended ||= events?.some(({ body }) => body.type === 'ThreadDeleted') ?? false;
    return events;
  });
}

/**
 * A snapshot first, if there is to be one, then what the follower brings. All that is loaded while the snapshot is
 * delivered is read in one repeatable-read transaction, together with the place from which the follower goes on.
 */
function source(
  { db, viewer }: Context,
  follower: Follower,
  snapshot: ((load: Load) => Promise<Delivered>) | null,
  read: () => Promise<readonly Item[] | null>,
): EventSource<Item> {
  let first = snapshot && [
    new Snapshot<Delivered>((deliver) =>
      db.tx(async (tx) => {
        const load = new Load(tx, viewer.projectId);
        return deliver(await snapshot(load), load);
      }, 'snapshot'),
    ),
  ];
  const next = async (): Promise<readonly Item[] | null> => {
    const items = first;
    first = null;
    return items ?? read();
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
