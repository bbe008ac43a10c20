import { useState } from 'react';
import { UpdateVectorStoreDocument, type VectorStorePartsFragment } from 'skein/client';
import { useAction } from 'skein/react';
import { FormDialog } from '../parts/form-dialog.tsx';
import { FormField } from '../parts/form-field.tsx';
import { PairsField } from '../parts/pairs-field.tsx';
import { jsonOf, type Pair, pairsOf, pairsProblem } from '../parts/pairs.ts';
import { refusalOf } from '../parts/reason.ts';
import { refusedAt } from './new-store-dialog.tsx';
import { daysOf, daysProblem, storeName } from './store-name.ts';

interface StoreSettingsProps {
  store: VectorStorePartsFragment;
  open: boolean;
  close(): void;
}

/** What a store is called, and how long it stays. */
export function StoreSettings({ store, open, close }: StoreSettingsProps) {
  const [name, setName] = useState(store.name ?? '');
  const [days, setDays] = useState(String(store.expiresAfterDays ?? ''));
  const [pairs, setPairs] = useState<readonly Pair[]>(() => pairsOf(store.metadata));
  const [was, setWas] = useState(open);
  // Each time it opens, with what is stored by then.
  if (was !== open) {
    setWas(open);
    setName(store.name ?? '');
    setDays(String(store.expiresAfterDays ?? ''));
    setPairs(pairsOf(store.metadata));
  }
  const { run, outcome } = useAction(UpdateVectorStoreDocument, (result) => result.updateVectorStore, (payload) => payload.vectorStore);
  const typedDays = daysProblem(days);
  const typedPairs = pairsProblem(pairs);
  const submit = async () => {
    const typed = typedDays ?? typedPairs;
    if (typed !== null) return typed;
    return refusalOf(
      await run({ vectorStoreId: store.id, name: name.trim() || null, expiresAfterDays: daysOf(days), metadata: jsonOf(pairs) }),
    );
  };
  return (
    <FormDialog open={open} close={close} title={`Settings of ‘${storeName(store)}’`} act="Save" submit={submit}>
      <FormField label="Name" value={name} change={setName} problem={refusedAt(outcome, 'name')} control={<input autoComplete="off" />} />
      <FormField
        label="Expires after days without use"
        value={days}
        change={setDays}
        hint="1 to 365. Empty: never."
        problem={typedDays ?? refusedAt(outcome, 'expiresAfterDays')}
        control={<input inputMode="numeric" autoComplete="off" />}
      />
      <PairsField label="Metadata" hint="Up to 16 pairs of text." pairs={pairs} change={setPairs} problem={refusedAt(outcome, 'metadata')} />
    </FormDialog>
  );
}
