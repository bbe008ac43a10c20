import { Plus } from 'lucide-react';
import { useState } from 'react';
import { VectorStoreDocument, VectorStoresDocument } from 'skein/client';
import { useQuery } from 'urql';
import { Button } from '../parts/button.tsx';
import { FormField } from '../parts/form-field.tsx';
import { hrefOf } from '../route.ts';
import { StoreProgress } from './ingestion-progress.tsx';
import { NewStoreDialog } from './new-store-dialog.tsx';
import styles from './store-choice.module.css';
import { StoreFilePicker } from './store-file-picker.tsx';
import { storeName, storeSize } from './store-name.ts';

interface StoreChoiceProps {
  storeId: string | null;
  change(storeId: string | null): void;
  problem: string | null;
}

/** Stores that are offered; an older one is reached from its own page. */
const MOST_STORES = 100;

/** The vector store that an assistant searches. */
export function StoreChoice({ storeId, change, problem }: StoreChoiceProps) {
  const [making, setMaking] = useState(false);
  const [adding, setAdding] = useState(false);
  const [{ data }] = useQuery({ query: VectorStoresDocument, variables: { first: MOST_STORES }, requestPolicy: 'cache-and-network' });
  const [chosen] = useQuery({ query: VectorStoreDocument, variables: { id: storeId ?? '', first: 1 }, pause: storeId === null });
  const stores = data?.vectorStores.nodes ?? [];
  const store = storeId === null ? null : (chosen.data?.vectorStore ?? null);
  const listed = stores.some(({ id }) => id === storeId);
  return (
    <div className={styles.choice}>
      <FormField
        label="Vector store for file search"
        value={storeId ?? ''}
        change={(id) => change(id === '' ? null : id)}
        problem={problem}
        hint={store ? storeSize(store) : 'Its files are searched in every conversation.'}
        control={
          <select>
            <option value="">None</option>
            {!listed && storeId !== null && <option value={storeId}>{store ? storeName(store) : `A store that is not there (${storeId})`}</option>}
            {stores.map((one) => (
              <option key={one.id} value={one.id}>
                {storeName(one)} · {storeSize(one)}
              </option>
            ))}
          </select>
        }
      />
      {store?.status === 'IN_PROGRESS' && <StoreProgress store={store} />}
      <div className={styles.acts}>
        <Button small icon={<Plus size={14} />} onClick={() => setMaking(true)}>
          New store
        </Button>
        {store && store.status !== 'EXPIRED' && (
          <Button small icon={<Plus size={14} />} onClick={() => setAdding(true)}>
            Add files to it
          </Button>
        )}
        {store && <a href={hrefOf({ view: 'stores', storeId: store.id })}>Open it</a>}
      </div>
      <NewStoreDialog open={making} close={() => setMaking(false)} made={({ id }) => change(id)} />
      {store && <StoreFilePicker store={store} open={adding} close={() => setAdding(false)} />}
    </div>
  );
}
