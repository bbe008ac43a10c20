import {
  FollowThreadsDocument,
  type FollowThreadsSubscription,
  type ThreadFilter,
  type ThreadListPartsFragment,
  ThreadsDocument,
  type ThreadsQuery,
} from '../generated/graphql/graphql.ts';
import type { Reach } from './conversation-store.ts';
import { follow, type FollowStatus, waitAfter } from './follow.ts';
import { mayPass, SkeinError } from './skein-error.ts';
import { createStore, type Store } from './store.ts';

export type ListedThread = ThreadListPartsFragment;
type ThreadListEvent = FollowThreadsSubscription['threads'];
type Page = ThreadsQuery['threads'];

export interface ThreadListState {
  /** Newest first. */
  readonly threads: readonly ListedThread[];
  /** Whether the first page is here. */
  readonly loaded: boolean;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  readonly status: FollowStatus;
  readonly error: SkeinError | null;
}

/** A list of threads that moves by itself. */
export interface ThreadListStore extends Store<ThreadListState> {
  /** Reads the next page of older threads; does nothing when there are none, or one is on its way. */
  loadMore(): Promise<void>;
  close(): void;
}

/** Threads that one request may ask for. */
const MOST = 100;

/**
 * Follows the threads of a project, those that match `filter`. What is heard has no cursor: whenever the connection
 * stands, anew or again, the pages that are here are read once more.
 */
export function followThreads(
  { subscribe, request, pageSize = 30 }: Reach,
  filter: ThreadFilter | null = null,
): ThreadListStore {
  const store = createStore<ThreadListState>({
    threads: [],
    loaded: false,
    hasMore: false,
    loadingMore: false,
    status: 'connecting',
    error: null,
  });
  const change = (part: Partial<ThreadListState>) => store.set({ ...store.get(), ...part });
  let end: string | null = null;
  let closed = false;
  // What was heard while a page was on its way is newer than the page, or as new.
  let heard: ThreadListEvent[] = [];
  let reading: Promise<void> = Promise.resolve();
  let giveUp = () => {};

  /** One reading after the other: a page joins those before it. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = reading.then(work);
    reading = done.catch(() => {});
    return done;
  }

  async function read(first: number, after: string | null): Promise<Page> {
    return (await request(ThreadsDocument, { first, after, filter })).threads;
  }

  function put({ nodes, pageInfo }: Page, before: readonly ListedThread[]): void {
    end = pageInfo.endCursor ?? end;
    const threads = [...before, ...nodes.filter(({ id }) => !before.some((known) => known.id === id))];
    change({ loaded: true, hasMore: pageInfo.hasNextPage, threads });
    for (const event of heard) change({ threads: moved(store.get(), event) });
  }

  /** What is here once more, down to its oldest: as one, so that a long list does not shrink and grow again. */
  async function refresh(): Promise<void> {
    heard = [];
    const { threads } = store.get();
    const oldest = threads.at(-1)?.id;
    let page = await read(Math.min(MOST, Math.max(pageSize, threads.length)), null);
    while (page.pageInfo.hasNextPage && oldest !== undefined && page.nodes.at(-1)!.id > oldest && !closed) {
      const { nodes, pageInfo } = await read(pageSize, page.pageInfo.endCursor);
      page = { nodes: [...page.nodes, ...nodes], pageInfo };
    }
    put(page, []);
    if (store.get().status === 'live') change({ error: null });
  }

  /** The connection may stand, and a request be lost all the same. */
  function refreshUntilDone(failures = 0): void {
    giveUp();
    inTurn(async () => (closed ? undefined : refresh())).catch((reason: unknown) => {
      const error = reason instanceof SkeinError ? reason : new SkeinError('INTERNAL', String(reason), reason);
      change({ error });
      if (closed || store.get().status !== 'live' || !mayPass(error)) return;
      giveUp = waitAfter(failures, () => refreshUntilDone(failures + 1));
    });
  }

  const stop = follow({
    subscribe,
    document: FollowThreadsDocument,
    variables: () => ({ filter }),
    eventOf: ({ threads }) => threads,
    cursorOf: () => null,
    onEvent(event) {
      heard.push(event);
      change({ threads: moved(store.get(), event) });
    },
    onStatus(status, error) {
      change({ status, error });
      if (status === 'live') refreshUntilDone();
    },
  });

  return {
    get: store.get,
    listen: store.listen,
    async loadMore() {
      const { hasMore, loadingMore } = store.get();
      if (!hasMore || loadingMore) return;
      change({ loadingMore: true });
      try {
        await inTurn(async () => {
          heard = [];
          put(await read(pageSize, end), store.get().threads);
        });
      } finally {
        change({ loadingMore: false });
      }
    },
    close() {
      closed = true;
      giveUp();
      stop();
    },
  };
}

/** The list behind an event. What lies beyond the pages that are here is none of its business. */
function moved({ threads, hasMore }: ThreadListState, { threadId, thread }: ThreadListEvent): readonly ListedThread[] {
  const at = threads.findIndex(({ id }) => id === threadId);
  if (!thread) return at < 0 ? threads : threads.toSpliced(at, 1);
  if (at >= 0) return threads.with(at, thread);
  // Ids are in the order in which their objects were made.
  const place = threads.findIndex(({ id }) => id < threadId);
  if (place >= 0) return threads.toSpliced(place, 0, thread);
  return hasMore ? threads : [...threads, thread];
}
