import { useEffect } from 'react';
import { FollowVectorStoreDocument, ThreadDetailsDocument, type VectorStorePartsFragment } from 'skein/client';
import { useQuery, useSubscription } from 'urql';
import styles from './ingestion-progress.module.css';

interface IngestionProgressProps {
  threadId: string;
  /** Changes when files may have come to the thread. */
  moment: string;
}

/** How far the files of a thread are read in; nothing once they are. */
export function IngestionProgress({ threadId, moment }: IngestionProgressProps) {
  const [{ data }, refresh] = useQuery({ query: ThreadDetailsDocument, variables: { id: threadId } });
  useEffect(() => {
    if (moment !== '') refresh({ requestPolicy: 'network-only' });
  }, [moment, refresh]);
  const stores = data?.thread?.toolResources.fileSearch?.vectorStores ?? [];
  return stores.map((store) => store && store.status === 'IN_PROGRESS' && <StoreProgress key={store.id} store={store} />);
}

/** Draws a store's progress as it is made. */
export function StoreProgress({ store }: { store: VectorStorePartsFragment }) {
  // What comes passes the cache: the store that was given is the newest there is.
  useSubscription({ query: FollowVectorStoreDocument, variables: { id: store.id }, pause: store.status !== 'IN_PROGRESS' });
  const { total, inProgress, failed } = store.fileCounts;
  if (total === 0) return null;
  const done = total - inProgress;
  const words = inProgress > 0 ? `Reading files: ${done} of ${total}` : `${total} file${total === 1 ? '' : 's'} read`;
  return (
    <div className={styles.progress} role="status">
      <span>
        {words}
        {failed > 0 && `, ${failed} could not be read`}
      </span>
      <progress value={done} max={total} aria-label="Files read in" />
    </div>
  );
}
