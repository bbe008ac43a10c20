import type { ThreadFilter } from '../../generated/graphql/graphql.ts';
import type { FollowStatus } from '../follow.ts';
import type { SkeinError } from '../skein-error.ts';
import type { ListedThread } from '../thread-list-store.ts';
import { useSkein } from './provider.tsx';
import { useShelved } from './use-shelved.ts';

/** A list of threads, live. */
export interface LiveThreads {
  /** Newest first. */
  threads: readonly ListedThread[];
  /** False until the first page is here. */
  loaded: boolean;
  hasMore: boolean;
  loadingMore: boolean;
  /** Brings older threads to the end; rejects when they are not to be had. */
  loadMore(): Promise<void>;
  connection: FollowStatus;
  error: SkeinError | null;
}

const NONE: readonly never[] = [];

/** Follows the project's threads, or those that match a filter: new ones, new titles, runs that begin and end. */
export function useThreads(filter: ThreadFilter | null = null): LiveThreads {
  const { threadLists } = useSkein();
  const id = JSON.stringify(filter);
  const state = useShelved(threadLists, id);
  return {
    threads: state?.threads ?? NONE,
    loaded: state?.loaded ?? false,
    hasMore: state?.hasMore ?? false,
    loadingMore: state?.loadingMore ?? false,
    loadMore: () => threadLists.take(id).loadMore(),
    connection: state?.status ?? 'connecting',
    error: state?.error ?? null,
  };
}
