import { AddVectorStoreFilesDocument, type VectorStorePartsFragment } from 'skein/client';
import { useAction } from 'skein/react';
import { refusalOf } from '../parts/reason.ts';
import { FilePicker } from './file-picker.tsx';
import { storeName } from './store-name.ts';

interface StoreFilePickerProps {
  store: VectorStorePartsFragment;
  open: boolean;
  close(): void;
}

/** Puts files of the project, or new ones, into a store. */
export function StoreFilePicker({ store, open, close }: StoreFilePickerProps) {
  const { run } = useAddFiles();
  const take = async (fileIds: readonly string[]) =>
    refusalOf(await run({ vectorStoreId: store.id, files: fileIds.map((fileId) => ({ fileId })) }));
  return (
    <FilePicker
      open={open}
      close={close}
      title={`Add files to ‘${storeName(store)}’`}
      words="They are read in, and can be searched as soon as they are. One that is there already is not read again."
      taken={[]}
      take={take}
    />
  );
}

export const useAddFiles = () => useAction(AddVectorStoreFilesDocument, (result) => result.addVectorStoreFiles, (payload) => payload.batch);
