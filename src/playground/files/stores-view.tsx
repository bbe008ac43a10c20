import { Plus } from 'lucide-react';
import { useState } from 'react';
import { type VectorStorePartsFragment, VectorStoresDocument } from 'skein/client';
import { Button } from '../parts/button.tsx';
import listStyles from '../parts/list-link.module.css';
import { PagedList } from '../parts/paged-list.tsx';
import { PageHeader } from '../parts/page-header.tsx';
import { detailPane, SplitView } from '../parts/split-view.tsx';
import { StatusBadge } from '../parts/status-badge.tsx';
import viewStyles from '../parts/view.module.css';
import { go, hrefOf } from '../route.ts';
import { StoreProgress } from './ingestion-progress.tsx';
import { NewStoreDialog } from './new-store-dialog.tsx';
import { StoreDetail } from './store-detail.tsx';
import { storeName, storeSize } from './store-name.ts';

const ALL = { view: 'stores', storeId: null } as const;

/** The project's vector stores, and one of them with its files. */
export function StoresView({ storeId }: { storeId: string | null }) {
  const [making, setMaking] = useState(false);
  return (
    <div className={viewStyles.view}>
      <PageHeader title="Vector stores">
        <Button icon={<Plus size={16} />} onClick={() => setMaking(true)}>
          New store
        </Button>
      </PageHeader>
      <SplitView chosen={storeId} list={<StoreList chosen={storeId} />} listLabel="All stores" detailLabel="Vector store" back={ALL} backWords="All stores">
        {storeId === null ? (
          <p className={listStyles.none}>Choose a store to see what is in it, or make a new one.</p>
        ) : (
          <StoreDetail key={storeId} storeId={storeId} deleted={() => go(ALL)} />
        )}
      </SplitView>
      <NewStoreDialog open={making} close={() => setMaking(false)} made={({ id }) => go({ view: 'stores', storeId: id })} focusAfter={detailPane} />
    </div>
  );
}

function StoreList({ chosen }: { chosen: string | null }) {
  return (
    <PagedList
      label="Vector stores"
      query={VectorStoresDocument}
      variables={{}}
      pageOf={({ vectorStores }) => vectorStores}
      empty="There is none yet."
      more="Older stores"
    >
      {(store) => <StoreLink store={store} current={store.id === chosen} />}
    </PagedList>
  );
}

function StoreLink({ store, current }: { store: VectorStorePartsFragment; current: boolean }) {
  return (
    <a className={listStyles.link} href={hrefOf({ view: 'stores', storeId: store.id })} aria-current={current ? 'page' : undefined}>
      <span className={listStyles.name}>{storeName(store)}</span>
      <span className={listStyles.about}>
        {storeSize(store)}
        {store.status === 'EXPIRED' && <StatusBadge status="EXPIRED" />}
      </span>
      {store.status === 'IN_PROGRESS' && <StoreProgress store={store} />}
    </a>
  );
}
