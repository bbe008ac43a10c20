import { builder } from '../../graphql/builder.ts';
import type { Context } from '../../graphql/context.ts';
import { RequestError } from '../../graphql/errors.ts';
import type { Hints } from '../../graphql/hints.ts';
import type { StoreView } from '../vector-store.ts';
import { VectorStore, vectorStoreById } from './vector-store.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    /** Every store is a scope of its own. */
    storeHints: Hints<StoreView, null>;
  }
}

interface Moved {
  at: Date;
  store: StoreView;
}

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

const followStore = ({ load, rooms }: Context, id: string): Promise<AsyncIterable<Moved>> =>
  rooms.storeHints.follow(id, {
    filter: null,
    ids: null,
    tell: ({ at, row }) => (row ? { at, store: row } : 'end'),
    async begin() {
      const store = await load.one(vectorStoreById, id);
      if (!store) throw new RequestError('NOT_FOUND', `No vector store found with id '${id}'.`);
      return { id, event: { at: new Date(), store } };
    },
  });
