import { useState } from 'react';
import { UpdateVectorStoreFileDocument, type VectorStoreFilePartsFragment } from 'skein/client';
import { useAction } from 'skein/react';
import { FormDialog } from '../parts/form-dialog.tsx';
import { PairsField } from '../parts/pairs-field.tsx';
import { jsonOf, type Pair, pairsOf, pairsProblem } from '../parts/pairs.ts';
import { refusalOf } from '../parts/reason.ts';
import { fileName } from './store-file-row.tsx';

interface AttributesDialogProps {
  /** Null: closed. */
  file: VectorStoreFilePartsFragment | null;
  close(): void;
}

/** What searches can filter a file of a store by. */
export function AttributesDialog({ file, close }: AttributesDialogProps) {
  const [was, setWas] = useState(file);
  // While it fades, it still shows what it showed.
  const [of, setOf] = useState(file);
  const [pairs, setPairs] = useState<readonly Pair[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  if (file !== was) {
    setWas(file);
    if (file) {
      setOf(file);
      setPairs(pairsOf(file.attributes));
      setProblem(null);
    }
  }
  const { run } = useAction(UpdateVectorStoreFileDocument, (result) => result.updateVectorStoreFile, (payload) => payload.vectorStoreFile);
  const submit = async () => {
    const typed = pairsProblem(pairs);
    setProblem(typed);
    if (typed !== null) return typed;
    return refusalOf(await run({ vectorStoreFileId: of!.id, attributes: jsonOf(pairs) }));
  };
  return (
    <FormDialog
      wide
      open={file !== null}
      close={close}
      title={`Attributes of ${of ? fileName(of) : 'a file'}`}
      words="Searches can be narrowed to files by them."
      act="Save"
      submit={submit}
    >
      <PairsField
        kinds
        label="Attributes"
        hint="Up to 16: names up to 64 characters, texts up to 512, numbers, yes or no."
        pairs={pairs}
        change={setPairs}
        problem={problem}
      />
    </FormDialog>
  );
}
