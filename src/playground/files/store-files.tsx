import { Plus } from 'lucide-react';
import { useRef, useState } from 'react';
import { RemoveVectorStoreFileDocument, VectorStoreDocument, type VectorStoreFilePartsFragment, type VectorStoreFileStatus, type VectorStorePartsFragment } from 'skein/client';
import { useAction } from 'skein/react';
import { Button } from '../parts/button.tsx';
import { ConfirmDialog } from '../parts/confirm-dialog.tsx';
import { FormField } from '../parts/form-field.tsx';
import { Notice } from '../parts/notice.tsx';
import { PagedList } from '../parts/paged-list.tsx';
import { refusalOf } from '../parts/reason.ts';
import { useCalm } from '../parts/use-calm.ts';
import { AttributesDialog } from './attributes-dialog.tsx';
import { FileInputButton } from './file-input-button.tsx';
import { fileName, STATUS_WORDS, StoreFileRow } from './store-file-row.tsx';
import { StoreFilePicker, useAddFiles } from './store-file-picker.tsx';
import styles from './store-files.module.css';
import { UploadList } from './upload-list.tsx';
import { type Uploads, useUploads } from './use-uploads.ts';

/** Milliseconds between two looks at a list that moves. */
const LOOK_MS = 500;

type NewFile = Pick<VectorStoreFilePartsFragment, 'fileId'> & Partial<Pick<VectorStoreFilePartsFragment, 'attributes' | 'chunkingStrategy'>>;

export interface StoreFilling {
  uploads: Uploads;
  /** Stores files of this machine, and reads them in. */
  send(files: Iterable<File>): void;
  /** Reads in one that is stored. */
  put(file: NewFile): Promise<void>;
  /** Why the last one was not taken. */
  refused: string | null;
  /** Whether it takes any. */
  open: boolean;
}

/** Puts files into a store. */
export function useStoreFilling(storeId: string, open: boolean): StoreFilling {
  const [refused, setRefused] = useState<string | null>(null);
  const { run } = useAddFiles();
  const put = async (file: NewFile) => setRefused(refusalOf(await run({ vectorStoreId: storeId, files: [file] })));
  const uploads = useUploads((fileId) => void put({ fileId }));
  const send = (files: Iterable<File>) => {
    if (open) uploads.add(files, 'ASSISTANTS');
  };
  return { uploads, send, put, refused, open };
}

interface StoreFilesProps {
  store: VectorStorePartsFragment;
  filling: StoreFilling;
}

/** The files of a store, and the ways to put more into it. */
export function StoreFiles({ store, filling: { uploads, send, put, refused, open } }: StoreFilesProps) {
  const [status, setStatus] = useState<VectorStoreFileStatus | ''>('');
  const [picking, setPicking] = useState(false);
  const [edited, setEdited] = useState<VectorStoreFilePartsFragment | null>(null);
  const [doomed, setDoomed] = useState<VectorStoreFilePartsFragment | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const { run: remove } = useAction(RemoveVectorStoreFileDocument, (result) => result.removeVectorStoreFile, (payload) => payload.deletedId);
  const moment = useCalm(JSON.stringify(store.fileCounts), LOOK_MS);

  return (
    <section className={styles.area} aria-label="Files of the store">
      <div className={styles.head}>
        <h3>Files</h3>
        <FormField
          quiet
          className={styles.filter}
          label="Show files that are"
          value={status}
          change={(next) => setStatus(next as VectorStoreFileStatus | '')}
          control={
            <select>
              <option value="">All of them</option>
              {Object.entries(STATUS_WORDS).map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          }
        />
        {open && (
          <>
            <Button small icon={<Plus size={14} />} onClick={() => setPicking(true)}>
              Add existing files
            </Button>
            <FileInputButton small words="Upload and add" give={send} />
          </>
        )}
      </div>
      {refused && <Notice kind="danger">{refused}</Notice>}
      <UploadList uploads={uploads} />
      <div ref={list} className={styles.files}>
        <PagedList
          key={status}
          label="In the store"
          query={VectorStoreDocument}
          variables={{ id: store.id, status: status === '' ? null : status }}
          pageOf={({ vectorStore }) => vectorStore?.files}
          empty={status === '' ? 'It holds no files yet. Drop some here.' : 'None is like this.'}
          more="Older files"
          moment={moment}
        >
          {(file) => (
            <StoreFileRow
              file={file}
              edit={() => setEdited(file)}
              again={open ? () => void put({ fileId: file.fileId, attributes: file.attributes, chunkingStrategy: strategyOf(file) }) : null}
              remove={() => setDoomed(file)}
            />
          )}
        </PagedList>
      </div>
      <StoreFilePicker store={store} open={picking} close={() => setPicking(false)} />
      <AttributesDialog file={edited} close={() => setEdited(null)} />
      <ConfirmDialog
        title={doomed && `Take ‘${fileName(doomed)}’ out of the store?`}
        act="Take it out"
        confirm={async () => refusalOf(await remove({ vectorStoreFileId: doomed!.id }))}
        close={() => setDoomed(null)}
        focusAfter={() => list.current?.querySelector('ul') ?? null}
      >
        It is no longer found by searches. The file itself stays.
      </ConfirmDialog>
    </section>
  );
}

const strategyOf = ({ chunkingStrategy: { maxChunkSizeTokens, chunkOverlapTokens } }: VectorStoreFilePartsFragment) => ({
  maxChunkSizeTokens,
  chunkOverlapTokens,
});
