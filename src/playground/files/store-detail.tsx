import { Settings, Trash2 } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { DeleteVectorStoreDocument, FollowVectorStoreDocument, VectorStoreDocument, type VectorStorePartsFragment } from 'skein/client';
import { useAction } from 'skein/react';
import { useQuery, useSubscription } from 'urql';
import { DropArea } from '../parts/drop-area.tsx';
import { Button } from '../parts/button.tsx';
import { ConfirmDialog } from '../parts/confirm-dialog.tsx';
import { countInWords, sizeInWords } from '../parts/in-words.ts';
import listStyles from '../parts/list-link.module.css';
import { Moment } from '../parts/moment.tsx';
import { Notice } from '../parts/notice.tsx';
import { reasonOf, refusalOf } from '../parts/reason.ts';
import { StatusBadge } from '../parts/status-badge.tsx';
import { StoreProgress } from './ingestion-progress.tsx';
import styles from './store-detail.module.css';
import { StoreFiles, useStoreFilling } from './store-files.tsx';
import { storeName } from './store-name.ts';
import { StoreSearch } from './store-search.tsx';
import { StoreSettings } from './store-settings.tsx';

/** One vector store: how it stands, what is in it, and what is found in it. */
export function StoreDetail({ storeId, deleted }: { storeId: string; deleted(): void }) {
  const [{ data, error }] = useQuery({ query: VectorStoreDocument, variables: { id: storeId, first: 1 }, requestPolicy: 'cache-and-network' });
  const store = data?.vectorStore ?? null;
  // Whatever moves in it is drawn as it does: what comes passes the cache.
  useSubscription({ query: FollowVectorStoreDocument, variables: { id: storeId }, pause: store === null });
  const filling = useStoreFilling(storeId, store !== null && store.status !== 'EXPIRED');
  if (error && !store) return <Notice kind="danger">{reasonOf(error)}</Notice>;
  if (!data) return <p className={listStyles.none}>Loading…</p>;
  if (!store) return <p className={listStyles.none}>There is no vector store with this id. It may have been deleted.</p>;
  return (
    <DropArea
      className={styles.detail}
      drop={filling.send}
      words={filling.open ? 'Drop files to store them and read them in' : 'Nothing can be added to it any more'}
    >
      <Head store={store} deleted={deleted} />
      {store.status === 'EXPIRED' && (
        <Notice kind="warn">Its time is over: nothing is found in it any more, and nothing can be added. Its list of files is left.</Notice>
      )}
      <StoreSearch store={store} />
      <StoreFiles store={store} filling={filling} />
    </DropArea>
  );
}

function Head({ store, deleted }: { store: VectorStorePartsFragment; deleted(): void }) {
  const [setting, setSetting] = useState(false);
  const [asking, setAsking] = useState(false);
  const { run } = useAction(DeleteVectorStoreDocument, (result) => result.deleteVectorStore, (payload) => payload.deletedId);
  const remove = async () => {
    const outcome = await run({ vectorStoreId: store.id });
    if (!outcome.value) return refusalOf(outcome);
    deleted();
    return null;
  };
  return (
    <header className={styles.head}>
      <div className={styles.name}>
        <h2>{storeName(store)}</h2>
        <StatusBadge status={store.status} word={WORDS[store.status]} />
        <code className={styles.id}>{store.id}</code>
      </div>
      <div className={styles.acts}>
        <Button small icon={<Settings size={14} />} onClick={() => setSetting(true)}>
          Settings
        </Button>
        <Button small kind="danger" icon={<Trash2 size={14} />} onClick={() => setAsking(true)}>
          Delete
        </Button>
      </div>
      <Facts store={store} />
      {store.status === 'IN_PROGRESS' && <StoreProgress store={store} />}
      <StoreSettings store={store} open={setting} close={() => setSetting(false)} />
      <ConfirmDialog title={asking ? `Delete ‘${storeName(store)}’?` : null} act="Delete it" confirm={remove} close={() => setAsking(false)}>
        What was read into it goes with it. The files themselves stay.
      </ConfirmDialog>
    </header>
  );
}

const WORDS = { COMPLETED: 'Ready', IN_PROGRESS: 'Reading files', EXPIRED: undefined };

function Facts({ store }: { store: VectorStorePartsFragment }) {
  const { fileCounts, usageBytes, embeddingModel, expiresAfterDays, expiresAt, lastActiveAt, metadata } = store;
  const counts = [
    countInWords(fileCounts.completed, 'file') + ' ready',
    fileCounts.inProgress > 0 && `${fileCounts.inProgress} being read`,
    fileCounts.failed > 0 && `${fileCounts.failed} could not be read`,
    fileCounts.cancelled > 0 && `${fileCounts.cancelled} cancelled`,
  ];
  const pairs = Object.entries(metadata as Record<string, string>);
  return (
    <dl className={styles.facts}>
      <Fact name="Files">{counts.filter(Boolean).join(', ')}</Fact>
      <Fact name="Size of the index">{sizeInWords(usageBytes)}</Fact>
      <Fact name="Embeddings">{embeddingModel ?? 'settled by its first file'}</Fact>
      <Fact name="Last used">{lastActiveAt ? <Moment at={lastActiveAt} /> : 'not yet'}</Fact>
      <Fact name="Expires">
        {expiresAfterDays === null ? (
          'never'
        ) : (
          <>
            {countInWords(expiresAfterDays, 'day')} after its last use
            {expiresAt && (
              <>
                , <Moment at={expiresAt} />
              </>
            )}
          </>
        )}
      </Fact>
      {pairs.length > 0 && <Fact name="Metadata">{pairs.map(([name, value]) => `${name}: ${value}`).join(', ')}</Fact>}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
