import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
import { RequestError } from '../../graphql/errors.ts';
import { EventSource } from '../../graphql/event-source.ts';
import { type StoreView, VectorStore, vectorStoreById } from './vector-store.ts';

interface Moved {
  at: Date;
  store: StoreView;
}

/** Milliseconds between two events of one subscription: a page draws no faster. */
const WINDOW_MS = 100;

const VectorStoreEvent = builder.objectRef<Moved>('VectorStoreEvent').implement({
  description: 'A vector store has moved: a file of it was added, read in, failed, cancelled or removed, or it was changed.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When this was read.' }),
    vectorStore: t.field({
      type: VectorStore,
      description: 'The store as of now: `fileCounts` says how far it is.',
      resolve: ({ store }) => store,
    }),
  }),
});

builder.subscriptionField('vectorStoreEvents', (t) =>
  t.field({
    type: VectorStoreEvent,
    description:
      'Progress of a vector store: its state now, and again whenever something of it has moved, at most ten times a ' +
      'second. Hints without a cursor: after a reconnect it begins with the state as of then. Ends when the store is deleted.',
    args: { vectorStoreId: t.arg.id({ required: true, description: 'Id of the vector store.' }) },
    subscribe: (_root, { vectorStoreId }, context) =>
      followStore(context, vectorStoreId) as Promise<AsyncIterable<never>>,
    resolve: (event) => event as Moved,
  }),
);

async function followStore(context: Context, id: string): Promise<AsyncIterable<Moved>> {
  const { load, rooms } = context;
  const read = () => load.one(vectorStoreById, id);
  const first = await read();
  if (!first) throw new RequestError('NOT_FOUND', `No vector store found with id '${id}'.`);
  let moved = Promise.withResolvers<void>();
  let closed = false;
  let last = -Infinity;
  let pause: NodeJS.Timeout | undefined;
  const off = rooms.vectorStores.watch(id, () => moved.resolve());
  // What moved before the watch began is told at once.
  let waiting = false;
  const next = async (): Promise<readonly Moved[] | null> => {
    if (waiting) await moved.promise;
    waiting = true;
    const rest = last + WINDOW_MS - performance.now();
    if (rest > 0 && !closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      pause = setTimeout(resolve, rest);
      await promise;
    }
    if (closed) return null;
    moved = Promise.withResolvers<void>();
    last = performance.now();
    const store = await read();
    return store && [{ at: new Date(), store }];
  };
  let wake = () => {};
  return new EventSource<Moved>(next, () => {
    closed = true;
    off();
    clearTimeout(pause);
    wake();
    moved.resolve();
  });
}
