import { print } from 'graphql';
import type { Client } from 'graphql-ws';
import type WebSocket from 'ws';
import { type Conversation, emptyConversation, fold } from '../../src/client/fold.ts';
import {
  FollowRunDocument,
  type FollowRunSubscription,
  FollowThreadDocument,
  type FollowThreadSubscription,
} from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';

export type RunEvent = FollowRunSubscription['runEvents'];
export type ThreadEvent = FollowThreadSubscription['threadEvents'];

/** A subscription over a socket of its own, from its first event on, with what its events fold to. */
export interface Watch<Event> {
  readonly events: readonly Event[];
  readonly state: Conversation;
  /** All events, once the subscription has ended by itself. */
  readonly ended: Promise<readonly Event[]>;
  /** Resolves when the events so far satisfy the condition; fails when the subscription ends before. */
  until(condition: (watch: { events: readonly Event[]; state: Conversation }) => boolean): Promise<void>;
  /** Cuts the socket, without a word to the server. */
  kill(): Promise<void>;
}

interface Options {
  /** Where to go on from; a snapshot first without it. */
  after?: string | null;
  /** What is known already. */
  from?: Conversation;
}

export const watchRun = (skein: TestSkein, runId: string, { after, from }: Options = {}): Watch<RunEvent> =>
  watch<RunEvent>(
    skein.socket(),
    { query: print(FollowRunDocument), variables: { runId, after } },
    from,
    (data) => data.runEvents as RunEvent,
  );

export const watchThread = (skein: TestSkein, threadId: string, { after, from }: Options = {}): Watch<ThreadEvent> =>
  watch<ThreadEvent>(
    skein.socket(),
    { query: print(FollowThreadDocument), variables: { threadId, after } },
    from,
    (data) => data.threadEvents as ThreadEvent,
  );

function watch<Event extends RunEvent | ThreadEvent>(
  client: Client,
  operation: { query: string; variables: Record<string, unknown> },
  from: Conversation | undefined,
  pick: (data: Record<string, unknown>) => Event,
): Watch<Event> {
  const events: Event[] = [];
  let state = from ?? emptyConversation();
  const waiting = new Set<() => void>();
  const end = Promise.withResolvers<readonly Event[]>();
  end.promise.catch(() => {}); // of no interest to those who only look at what came before
  // GraphQL errors, or why the socket closed.
  const fail = (reason: unknown): void => {
    const message = Array.isArray(reason)
      ? reason.map(({ message }: Error) => message).join('\n')
      : 'the socket was lost';
    end.reject(new Error(message, { cause: reason }));
  };
  const connected = new Promise<WebSocket>((resolve) =>
    client.on('connected', (socket) => resolve(socket as WebSocket)),
  );
  client.subscribe<Record<string, unknown>>(operation, {
    next({ data, errors }) {
      if (errors) return fail(errors);
      const event = pick(data!);
      events.push(event);
      state = fold(state, event);
      for (const look of waiting) look();
    },
    error: fail,
    complete() {
      end.resolve(events);
      void client.dispose();
    },
  });
  const self: Watch<Event> = {
    events,
    get state() {
      return state;
    },
    ended: end.promise,
    until: (condition) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!condition(self)) return;
          waiting.delete(look);
          resolve();
        };
        const tell = (why?: unknown) => {
          if (!condition(self)) reject(new Error('the subscription ended before that came', { cause: why }));
        };
        waiting.add(look);
        end.promise.then(() => tell(), tell);
        look();
      }),
    async kill() {
      (await connected).terminate();
      await client.dispose();
    },
  };
  return self;
}
