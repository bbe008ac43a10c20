import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
import type { Hints } from '../../graphql/hints.ts';
import type { ThreadFilter as Wanted, ThreadView } from '../thread-list.ts';
import { filterChecked, Thread, ThreadFilter } from './thread.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    /** Every project is a scope. */
    threadHints: Hints<ThreadView, Wanted>;
  }
}

interface Moved {
  at: Date;
  threadId: string;
  thread: ThreadView | null;
}

const ThreadListEvent = builder.objectRef<Moved>('ThreadListEvent').implement({
  description: 'A thread of a list has moved, or is in it no longer.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When this was read.' }),
    threadId: t.exposeID('threadId', { description: 'Id of the thread, which may be new to the list.' }),
    thread: t.field({
      type: Thread,
      nullable: true,
      description: 'The thread as of now; null when the list does not have it: it was deleted, or does not fit the filter.',
      resolve: ({ thread }) => thread,
    }),
  }),
});

builder.subscriptionField('threads', (t) =>
  t.field({
    type: ThreadListEvent,
    description:
      "A list that moves by itself: tells of each of the project's threads that is made, changed or deleted, in which a " +
      'run has another status, or to which a message comes, at most ten times a second for each, and of the newest state ' +
      'alone. Hints without a cursor: read the list when the subscription has begun, and again after a reconnect. Does ' +
      'not end by itself. When more has moved than could be told it breaks off with the error HINTS_LOST: that is a reconnect, too.',
    args: {
      filter: t.arg({ type: ThreadFilter, validate: filterChecked as never, description: 'Only threads that fit.' }),
    },
    subscribe: (_root, { filter }, context) =>
      followThreads(context, (filter as Wanted | null | undefined) ?? ANY) as Promise<AsyncIterable<never>>,
    resolve: (event) => event as Moved,
  }),
);

const ANY: Wanted = { search: null, metadata: null };

const followThreads = ({ rooms, viewer }: Context, filter: Wanted): Promise<AsyncIterable<Moved>> =>
  rooms.threadHints.follow(viewer.projectId, {
    filter,
    ids: viewer.token && viewer.token.threadIds,
    // Whether a thread that does not fit was in the list before, only a change of it can have made a question.
    tell: ({ id, at, row, changed }) =>
      row || changed || filter === ANY ? { at, threadId: id, thread: row } : null,
  });
