import { useState } from 'react';
import { CreateVectorStoreDocument, type VectorStorePartsFragment } from 'skein/client';
import { type Outcome, useAction } from 'skein/react';
import { FormDialog } from '../parts/form-dialog.tsx';
import { FormField } from '../parts/form-field.tsx';
import { refusalOf } from '../parts/reason.ts';
import { daysOf, daysProblem } from './store-name.ts';

interface NewStoreDialogProps {
  open: boolean;
  close(): void;
  made(store: VectorStorePartsFragment): void;
  /** What has the focus when it was made. */
  focusAfter?: () => HTMLElement | null;
}

/** Makes a vector store. */
export function NewStoreDialog({ open, close, made, focusAfter }: NewStoreDialogProps) {
  const [name, setName] = useState('');
  const [days, setDays] = useState('');
  const { run, outcome } = useAction(CreateVectorStoreDocument, (result) => result.createVectorStore, (payload) => payload.vectorStore);
  const typed = daysProblem(days);
  const submit = async () => {
    if (typed !== null) return typed;
    const result = await run({ name: name.trim() || null, expiresAfterDays: daysOf(days) });
    if (!result.value) return refusalOf(result);
    setName('');
    setDays('');
    made(result.value);
    return null;
  };
  return (
    <FormDialog
      open={open}
      close={close}
      title="New vector store"
      words="Files that are put into it can be searched."
      act="Create"
      submit={submit}
      focusAfter={focusAfter}
    >
      <FormField label="Name" value={name} change={setName} problem={refusedAt(outcome, 'name')} control={<input autoComplete="off" />} />
      <FormField
        label="Expires after days without use"
        value={days}
        change={setDays}
        hint="1 to 365. Empty: never."
        problem={typed ?? refusedAt(outcome, 'expiresAfterDays')}
        control={<input inputMode="numeric" autoComplete="off" />}
      />
    </FormDialog>
  );
}

/** What the server said of one field of its input. */
export const refusedAt = (outcome: Outcome<unknown> | null, field: string): string | null =>
  outcome?.refusals.find(({ path }) => path?.[1] === field)?.message ?? null;
