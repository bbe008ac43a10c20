import type { ConversationMessage, ConversationRun } from '../fold.ts';
import type { FollowStatus } from '../follow.ts';
import { isFinal } from '../final.ts';
import type { ConversationState, PendingMessage } from '../conversation-store.ts';
import type { SkeinError } from '../skein-error.ts';
import { useSkein } from './provider.tsx';
import { useShelved } from './use-shelved.ts';

/** A conversation, live. */
export interface LiveThread {
  /** Oldest first; one that is being written has what is written so far. */
  messages: readonly ConversationMessage[];
  /** With their steps, oldest first: those of the messages here, and the newest. */
  runs: readonly ConversationRun[];
  /** The run that has the thread now. */
  activeRun: ConversationRun | null;
  /** What was just sent and is not stored yet: to be shown behind the messages. */
  pending: readonly PendingMessage[];
  /** False until what is stored is here: before that there is nothing to be said of it. */
  loaded: boolean;
  /** Whether the thread was deleted. */
  deleted: boolean;
  connection: FollowStatus;
  error: SkeinError | null;
  hasOlder: boolean;
  loadingOlder: boolean;
  /** Brings older messages to the front; rejects when they are not to be had. */
  loadOlder(): Promise<void>;
}

const NONE: readonly never[] = [];

/** Follows a thread for as long as the component is there. Without an id it waits for one. */
export function useThread(threadId: string | null): LiveThread {
  const { threads } = useSkein();
  return liveThread(useShelved(threads, threadId), () =>
    threadId === null ? Promise.resolve() : threads.take(threadId).loadOlder(),
  );
}

function liveThread(state: ConversationState | null, loadOlder: () => Promise<void>): LiveThread {
  const { messages = NONE, runs = NONE, deleted = false, older = null } = state?.conversation ?? {};
  return {
    messages,
    runs,
    activeRun: runs.findLast(({ status }) => !isFinal(status)) ?? null,
    pending: state?.pending ?? NONE,
    loaded: state?.loaded ?? false,
    deleted,
    connection: state?.status ?? 'connecting',
    error: state?.error ?? null,
    hasOlder: older !== null,
    loadingOlder: state?.loadingOlder ?? false,
    loadOlder,
  };
}
