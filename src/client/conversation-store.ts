import {
  ConversationDocument,
  FollowRunDocument,
  FollowThreadDocument,
  type MessageInput,
} from '../generated/graphql/graphql.ts';
import type { Request, Subscribe } from './connection.ts';
import { type Conversation, type ConversationEvent, emptyConversation, fold, withOlder } from './fold.ts';
import { follow, type FollowOptions, type FollowStatus } from './follow.ts';
import type { SkeinError } from './skein-error.ts';
import { createStore, type Store } from './store.ts';

/** A message that was sent and is not in the log yet. */
export interface PendingMessage {
  /** Good on this page only. */
  readonly id: string;
  readonly message: MessageInput;
  /** The run that it came with, once the server has said so. */
  readonly runId: string | null;
}

/** A conversation as a page shows it. Never changed in place. */
export interface ConversationState {
  /** Whether what is stored is here: false until the first snapshot has come. */
  readonly loaded: boolean;
  readonly conversation: Conversation;
  readonly status: FollowStatus;
  /** Why it is not live: the connection's loss while it is sought, or what ended it. */
  readonly error: SkeinError | null;
  /** Behind the conversation's messages. */
  readonly pending: readonly PendingMessage[];
  readonly loadingOlder: boolean;
}

/** A conversation that moves by itself. */
export interface ConversationStore extends Store<ConversationState> {
  /** Reads a page of messages that are older than those here; does nothing when there are none, or one is on its way. */
  loadOlder(): Promise<void>;
  /**
   * Shows messages at once which are about to be sent with a run. The answer takes the run that they went with, and
   * they stay until the log has it; or null, when it was refused, and they are gone.
   */
  expect(messages: readonly MessageInput[]): (runId: string | null) => void;
  /** Ends its subscription. What is known stays. */
  close(): void;
}

/** How a store reaches its server. */
export interface Reach {
  subscribe: Subscribe;
  request: Request;
  /** How many older messages, or threads, make a page. Default 30; much more is over the server's limit of cost. */
  pageSize?: number;
}

type Followed<Result, Variables> = Pick<
  FollowOptions<Result, Variables, ConversationEvent>,
  'document' | 'variables' | 'eventOf'
>;

/** Follows a thread: all of its runs, and the messages that callers add or delete. */
export const followThread = (reach: Reach, threadId: string, from?: Conversation): ConversationStore =>
  createConversationStore(reach, threadId, from, {
    document: FollowThreadDocument,
    variables: (after) => ({ threadId, after }),
    eventOf: ({ threadEvents }) => threadEvents,
  });

/** Follows one run, to its end. */
export const followRun = (reach: Reach, runId: string, from?: Conversation): ConversationStore =>
  createConversationStore(reach, null, from, {
    document: FollowRunDocument,
    variables: (after) => ({ runId, after }),
    eventOf: ({ runEvents }) => runEvents,
  });

let lastPending = 0;

function createConversationStore<Result, Variables>(
  { subscribe, request, pageSize = 30 }: Reach,
  threadId: string | null,
  from: Conversation | undefined,
  followed: Followed<Result, Variables>,
): ConversationStore {
  const store = createStore<ConversationState>({
    loaded: from !== undefined,
    conversation: from ?? emptyConversation(),
    status: 'connecting',
    error: null,
    pending: [],
    loadingOlder: false,
  });
  const change = (part: Partial<ConversationState>) => store.set({ ...store.get(), ...part });

  const stop = follow({
    ...followed,
    subscribe,
    cursorOf: ({ cursor }) => cursor,
    after: from?.cursor ?? null,
    onEvent(event) {
      const { conversation: before, pending } = store.get();
      const conversation = fold(before, event);
      const come = withoutCome(pending, before, event);
      change({ loaded: true, conversation, pending: stillPending(come, conversation) });
    },
    onStatus: (status, error) => change({ status, error }),
  });

  return {
    get: store.get,
    listen: store.listen,
    async loadOlder() {
      const { conversation, loadingOlder } = store.get();
      const before = conversation.older;
      if (threadId === null || before === null || loadingOlder) return;
      change({ loadingOlder: true });
      try {
        const page = await request(ConversationDocument, { threadId, before, last: pageSize });
        // A snapshot that has come meanwhile begins somewhere else: this page does not join it.
        const now = store.get().conversation;
        if (now.older === before) change({ conversation: withOlder(now, page) });
      } finally {
        change({ loadingOlder: false });
      }
    },
    expect(messages) {
      const added = messages.map((message): PendingMessage => ({ id: `pending_${++lastPending}`, message, runId: null }));
      const ids = new Set(added.map(({ id }) => id));
      change({ pending: [...store.get().pending, ...added] });
      return (runId) => {
        const { pending, conversation } = store.get();
        const next = pending.flatMap((item) => {
          if (!ids.has(item.id)) return [item];
          return runId === null ? [] : [{ ...item, runId }];
        });
        change({ pending: stillPending(next, conversation) });
      };
    },
    close: stop,
  };
}

/** An event may be here before the answer to the request that caused it: then it is known by its words. */
function withoutCome(
  pending: readonly PendingMessage[],
  { messages }: Conversation,
  event: ConversationEvent,
): readonly PendingMessage[] {
  if (pending.length === 0 || event.__typename !== 'MessageCreated' || event.message.role !== 'USER') return pending;
  const { id, text } = event.message;
  if (messages.some((message) => message.id === id)) return pending;
  const at = pending.findIndex(({ message }) => wordsOf(message) === text);
  return at < 0 ? pending : pending.toSpliced(at, 1);
}

const wordsOf = ({ content }: MessageInput): string => content.map(({ text }) => text ?? '').join('');

/** A run's first event comes with its messages, in one transaction. */
function stillPending(pending: readonly PendingMessage[], { runs }: Conversation): readonly PendingMessage[] {
  const next = pending.filter(({ runId }) => runId === null || !runs.some(({ id }) => id === runId));
  return next.length === pending.length ? pending : next;
}
