/**
 * `skein/client`: one server as a page sees it. `connect` makes the connection, `followThread` and `followRun` follow
 * what happens over as many WebSockets as that takes, `fold` says what it adds up to. No framework, no Node.
 */
export { connect } from './connection.ts';
export type { Connection, ConnectionOptions, Request, Sink, Subscribe, Token } from './connection.ts';
export { followRun, followThread } from './conversation-store.ts';
export type { ConversationState, ConversationStore, PendingMessage, Reach } from './conversation-store.ts';
export { conversationOf, emptyConversation, fold, withOlder } from './fold.ts';
export type {
  Conversation,
  ConversationEvent,
  ConversationMessage,
  ConversationRun,
  ConversationStep,
} from './fold.ts';
export { follow } from './follow.ts';
export type { FollowOptions, FollowStatus } from './follow.ts';
export { POSSIBLE_TYPES } from './possible-types.ts';
export { SkeinError } from './skein-error.ts';
export type { Store } from './store.ts';
export { followThreads } from './thread-list-store.ts';
export type { ListedThread, ThreadListState, ThreadListStore } from './thread-list-store.ts';
export * from '../generated/graphql/graphql.ts';
