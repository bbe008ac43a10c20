import { Client, type CombinedError, createRequest, type Exchange, fetchExchange, subscriptionExchange, type TypedDocumentNode } from '@urql/core';
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react';
import { Provider } from 'urql';
import { onEnd, pipe, subscribe } from 'wonka';
import type { Connection, Sink } from '../connection.ts';
import { type ConversationStore, followRun, followThread, type Reach } from '../conversation-store.ts';
import type { ThreadFilter } from '../../generated/graphql/graphql.ts';
import { errorOf, SkeinError } from '../skein-error.ts';
import { followThreads, type ThreadListStore } from '../thread-list-store.ts';
import { skeinCache } from './cache.ts';
import { createShelf, type Shelf } from './shelf.ts';

/** What the hooks of one page share. */
export interface Skein {
  /** urql's own: for operations of yours. Its cache holds what the hooks have read and followed. */
  readonly urql: Client;
  readonly reach: Reach;
  readonly threads: Shelf<ConversationStore>;
  readonly runs: Shelf<ConversationStore>;
  /** By their filters, as JSON. */
  readonly threadLists: Shelf<ThreadListStore>;
}

const SkeinContext = createContext<Skein | null>(null);

export interface SkeinProviderProps {
  connection: Connection;
  /** Exchanges of urql's that see every operation before the cache does. Taken once for each connection. */
  exchanges?: readonly Exchange[];
  children: ReactNode;
}

/** Gives a page its server: everything below may use the hooks, and urql's own (`useQuery`, `useMutation`). */
export function SkeinProvider({ connection, exchanges, children }: SkeinProviderProps) {
  const [skein, setSkein] = useState(() => createSkein(connection, exchanges));
  const [made, setMade] = useState(connection);
  if (made !== connection) {
    setMade(connection);
    setSkein(createSkein(connection, exchanges));
  }
  useEffect(() => () => close(skein), [skein]);
  return (
    <SkeinContext value={skein}>
      <Provider value={skein.urql}>{children}</Provider>
    </SkeinContext>
  );
}

export function useSkein(): Skein {
  const skein = useContext(SkeinContext);
  if (!skein) throw new Error('There is no <SkeinProvider> around this component: the hooks need one.');
  return skein;
}

function createSkein(connection: Connection, exchanges?: readonly Exchange[]): Skein {
  const urql = createUrqlClient(connection, exchanges);
  const reach = reachThrough(urql);
  return {
    urql,
    reach,
    threads: createShelf((threadId, from) => followThread(reach, threadId, knownOf(from))),
    runs: createShelf((runId, from) => followRun(reach, runId, knownOf(from))),
    threadLists: createShelf((filter) => followThreads(reach, JSON.parse(filter) as ThreadFilter | null)),
  };
}

const knownOf = (store: ConversationStore | null) => (store?.get().loaded ? store.get().conversation : undefined);

function close({ threads, runs, threadLists }: Skein): void {
  for (const shelf of [threads, runs, threadLists]) shelf.clear();
}

/** Operations go by HTTP, subscriptions by the connection's WebSocket; both pass the normalised cache. */
export function createUrqlClient(connection: Connection, exchanges: readonly Exchange[] = []): Client {
  return new Client({
    url: connection.url,
    fetch: connection.fetch,
    preferGetMethod: false,
    exchanges: [
      ...exchanges,
      skeinCache(),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }, { context }) => ({
          subscribe: ({ next, error, complete }) => ({
            unsubscribe: connection.subscribeText(
              { query: query!, variables },
              { opened: context.opened as Sink<never>['opened'], next: (data) => next({ data }), error, complete },
            ),
          }),
        }),
      }),
    ],
  });
}

/** What stores need of a server, by way of the cache. */
function reachThrough(urql: Client): Reach {
  return {
    async request(document, variables) {
      const result = await urql.query(document as TypedDocumentNode, variables as object, {
        requestPolicy: 'network-only',
      });
      if (result.error) throw errorOfUrql(result.error);
      return result.data as never;
    },
    subscribe(document, variables, { opened, next, error, complete }) {
      let over = false;
      const request = createRequest(document as TypedDocumentNode, variables as object);
      const { unsubscribe } = pipe(
        urql.executeSubscription(request, { opened }),
        onEnd(() => {
          if (!over) complete();
          over = true;
        }),
        subscribe((result) => {
          if (over) return;
          over = result.error !== undefined;
          if (result.error) error(errorOfUrql(result.error));
          else next(result.data as never);
        }),
      );
      return () => {
        over = true;
        unsubscribe();
      };
    },
  };
}

/** What urql wraps, as it was. */
export function errorOfUrql({ networkError, graphQLErrors }: CombinedError): SkeinError {
  if (networkError instanceof SkeinError) return networkError;
  return networkError ? new SkeinError('UNREACHABLE', networkError.message, networkError) : errorOf(graphQLErrors);
}
