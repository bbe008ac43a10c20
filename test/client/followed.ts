import { expect } from 'vitest';
import { type Conversation, emptyConversation, fold } from '../../src/client/fold.ts';
import { follow, type FollowStatus } from '../../src/client/follow.ts';
import type { SkeinError } from '../../src/client/skein-error.ts';
import { FollowThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { joined } from '../events/joined.ts';
import { visible } from '../events/story.ts';
import type { ThreadEvent } from '../events/watch.ts';
import type { Wire } from './wire.ts';

/** A thread as the client follows it, with everything that it was told. */
export interface Followed {
  readonly events: readonly ThreadEvent[];
  readonly state: Conversation;
  /** Each once, however often it was said in a row. */
  readonly statuses: readonly FollowStatus[];
  readonly error: SkeinError | null;
  until(condition: (followed: Followed) => boolean): Promise<void>;
  stop(): void;
}

interface Options {
  after?: string | null;
  /** Called behind each event, with how many there have been. */
  onEvent?(count: number): void;
}

export function followed(wire: Wire, threadId: string, { after = null, onEvent }: Options = {}): Followed {
  const events: ThreadEvent[] = [];
  const statuses: FollowStatus[] = [];
  const waiting = new Set<() => void>();
  let state = emptyConversation();
  let error: SkeinError | null = null;
  const look = () => {
    for (const one of waiting) one();
  };
  const stop = follow({
    subscribe: wire.connection.subscribe,
    document: FollowThreadDocument,
    variables: (cursor) => ({ threadId, after: cursor }),
    eventOf: ({ threadEvents }) => threadEvents,
    cursorOf: ({ cursor }) => cursor,
    after,
    onEvent(event) {
      events.push(event);
      state = fold(state, event);
      onEvent?.(events.length);
      look();
    },
    onStatus(status, why) {
      error = why;
      if (statuses.at(-1) !== status) statuses.push(status);
      look();
    },
  });
  const self: Followed = {
    events,
    get state() {
      return state;
    },
    statuses,
    get error() {
      return error;
    },
    until: (condition) =>
      new Promise((resolve) => {
        const one = () => {
          if (!condition(self)) return;
          waiting.delete(one);
          resolve();
        };
        waiting.add(one);
        one();
      }),
    stop,
  };
  return self;
}

/**
 * Each event of `told` came once, in order, over however many connections; those behind the first began at the newest
 * event that had been seen; and nothing else was asked for.
 */
export function expectSeamless(wire: Wire, { events, state, statuses }: Followed, told: readonly ThreadEvent[]): void {
  const [first, ...later] = events;
  const snapshot = first!.__typename === 'ThreadSnapshot';
  const from = snapshot ? told.findIndex(({ cursor }) => cursor === first!.cursor) + 1 : 0;
  expect(joined(snapshot ? later : events)).toEqual(joined(told.slice(from)));
  expect(state.cursor).toBe(told.at(-1)!.cursor);

  const cursors = events.map(({ cursor }) => cursor);
  expect(new Set(cursors).size).toBe(cursors.length);
  const asked = wire.subscribed.map(({ variables }) => variables.after);
  const places = asked.slice(1).map((after) => (after === asked[0] ? -1 : cursors.indexOf(after as string)));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places.every((place, i) => place >= 0 || asked[i + 1] === asked[0])).toBe(true);
  expect(wire.requests).toEqual([]);

  expect(statuses[0]).toBe('connecting');
  expect(statuses[1]).toBe('live');
  for (const [i, status] of statuses.slice(2).entries()) expect(status).toBe(i % 2 ? 'live' : 'reconnecting');
}

export const sameAs = (state: Conversation, other: Conversation): void => expect(visible(state)).toEqual(visible(other));
