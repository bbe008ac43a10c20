// With Apollo: the typed documents go to its hooks as they are. What happens after a query was read is followed behind
// its cursor, and `fold` adds it up: over as many connections as that takes, nothing is missed and nothing comes twice.
import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';
import { useQuery } from '@apollo/client/react';
import { useEffect, useState } from 'react';
import {
  type Connection,
  type Conversation,
  ConversationDocument,
  conversationOf,
  fold,
  follow,
  FollowThreadDocument,
  POSSIBLE_TYPES,
} from 'skein/client';

export const createApollo = (connection: Connection): ApolloClient =>
  new ApolloClient({
    link: new HttpLink({ uri: connection.url, fetch: connection.fetch }),
    cache: new InMemoryCache({ possibleTypes: POSSIBLE_TYPES }),
  });

/** A thread: as it was read, and everything since. */
export function useConversation(connection: Connection, threadId: string): Conversation | null {
  const { data } = useQuery(ConversationDocument, { variables: { threadId }, fetchPolicy: 'no-cache' });
  const [conversation, setConversation] = useState<Conversation | null>(null);
  useEffect(() => {
    let state = data ? conversationOf(data) : null;
    setConversation(state);
    if (!state) return;
    return follow({
      subscribe: connection.subscribe,
      document: FollowThreadDocument,
      variables: (after) => ({ threadId, after }),
      eventOf: ({ threadEvents }) => threadEvents,
      cursorOf: ({ cursor }) => cursor,
      after: state.cursor,
      onEvent(event) {
        state = fold(state!, event);
        setConversation(state);
      },
      onStatus: (status, error) => console.info(status, error),
    });
  }, [connection, threadId, data]);
  return conversation;
}
