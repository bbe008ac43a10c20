import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import type { Subscribe } from './connection.ts';
import { isRefusal, mayPass, type SkeinError } from './skein-error.ts';

/**
 * connecting: nothing has come yet. live: what happens comes as it happens. reconnecting: the connection is lost, and
 * sought. ended: there is nothing more to come, or, with an error, nothing more to be had.
 */
export type FollowStatus = 'connecting' | 'live' | 'reconnecting' | 'ended';

/** What is followed, and by whom. */
export interface FollowOptions<Result, Variables, Event> {
  subscribe: Subscribe;
  document: TypedDocumentNode<Result, Variables>;
  /** The subscription's variables for a reader that stands at `after`; null = at no place yet. */
  variables(after: string | null): Variables;
  eventOf(result: Result): Event;
  /** The place behind an event; null where events have none, and a reader that comes back has to look for itself. */
  cursorOf(event: Event): string | null;
  /** Where to begin: behind this cursor, or with a snapshot. */
  after?: string | null;
  onEvent(event: Event): void;
  onStatus(status: FollowStatus, error: SkeinError | null): void;
}

/**
 * Milliseconds between two tries: the first, doubled by each that fails, up to the longest. One that brought nothing
 * counts as failed, unless it stood for as long.
 */
const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/**
 * Follows a subscription for as long as it goes on, over as many connections as that takes: each begins behind the
 * newest event that was seen, so that none is missed and none comes twice. The answer ends it, without a further word.
 */
export function follow<Result, Variables, Event>(options: FollowOptions<Result, Variables, Event>): () => void {
  const { subscribe, document, variables, eventOf, cursorOf, onEvent, onStatus } = options;
  let after = options.after ?? null;
  let failures = 0;
  let refusals = 0;
  let openSince: number | null = null;
  let live = false;
  let stop = () => {};

  function begin(): void {
    stop = subscribe(document, variables(after), {
      opened() {
        live = true;
        openSince = Date.now();
        refusals = 0;
        onStatus('live', null);
      },
      next(result) {
        failures = 0;
        const event = eventOf(result);
        after = cursorOf(event) ?? after;
        onEvent(event);
      },
      error: fail,
      complete: () => onStatus('ended', null),
    });
  }

  function fail(error: SkeinError): void {
    if (error.code === 'UNKNOWN_CURSOR' && after !== null) {
      // The server's log is another than the one that was read, a backup's: what it has now is the truth.
      after = null;
      begin();
      return;
    }
    if (openSince !== null && Date.now() - openSince > LONGEST_MS) failures = 0;
    openSince = null;
    // A token that is no good any more may be followed by one that is; two in a row that are not are the last.
    if (isRefusal(error)) refusals += 1;
    if (refusals > 1 || !mayPass(error)) {
      onStatus('ended', error);
      return;
    }
    onStatus(live ? 'reconnecting' : 'connecting', error);
    stop = waitAfter(failures, begin);
    failures += 1;
  }

  onStatus('connecting', null);
  begin();
  return () => stop();
}

/**
 * Calls back when it is time for another try, longer with each that has failed, or as soon as the network is said to be
 * there again. The answer takes it back.
 */
export function waitAfter(failures: number, then: () => void): () => void {
  // Not all at once, when many lose one server.
  const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** failures) * (0.5 + Math.random() / 2);
  const timer = setTimeout(done, ms);
  const cancel = () => {
    clearTimeout(timer);
    removeEventListener?.('online', done);
  };
  function done(): void {
    cancel();
    then();
  }
  addEventListener?.('online', done);
  return cancel;
}

/** Pages have them; other surroundings do not. */
const { addEventListener, removeEventListener } = globalThis as Partial<
  Record<'addEventListener' | 'removeEventListener', (type: string, listener: () => void) => void>
>;
