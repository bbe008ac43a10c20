import { Check, Copy, Download, Trash2 } from 'lucide-react';
import { useRef, useState } from 'react';
import { DeleteFileDocument, type FilePartsFragment, type FilePurpose, FilesDocument, FileWithLinkDocument } from 'skein/client';
import { useAction, useSkein } from 'skein/react';
import { DropArea } from '../parts/drop-area.tsx';
import { IconButton } from '../parts/button.tsx';
import { ConfirmDialog } from '../parts/confirm-dialog.tsx';
import { FormField } from '../parts/form-field.tsx';
import { Notice } from '../parts/notice.tsx';
import { PagedList } from '../parts/paged-list.tsx';
import { PageHeader } from '../parts/page-header.tsx';
import { reasonOf, refusalOf } from '../parts/reason.ts';
import { useCopy } from '../parts/use-copy.ts';
import { FileFacts, GIVEN_PURPOSES, PURPOSES } from './file-facts.tsx';
import { FileInputButton } from './file-input-button.tsx';
import styles from './files-view.module.css';
import { UploadList } from './upload-list.tsx';
import { useUploads } from './use-uploads.ts';

/** The files of the project: what was sent, and what tools have made. */
export function FilesView() {
  const [shown, setShown] = useState<FilePurpose | ''>('');
  const [purpose, setPurpose] = useState<FilePurpose>('ASSISTANTS');
  const [doomed, setDoomed] = useState<FilePartsFragment | null>(null);
  const uploads = useUploads();
  const { run: remove } = useAction(DeleteFileDocument, (result) => result.deleteFile, (payload) => payload.deletedId);
  const list = useRef<HTMLDivElement>(null);
  const add = (files: Iterable<File>) => uploads.add(files, purpose);

  return (
    <DropArea drop={add} words="Drop files to store them">
      <PageHeader title="Files">
        <FileInputButton words="Upload files" give={add} />
      </PageHeader>
      <div className={styles.scroll}>
        <div className={styles.inside}>
          <div className={styles.tools}>
            <FormField
              label="Show"
              value={shown}
              change={(next) => setShown(next as FilePurpose | '')}
              control={
                <select>
                  <option value="">All files</option>
                  {Object.entries(PURPOSES).map(([value, words]) => (
                    <option key={value} value={value}>
                      {words}
                    </option>
                  ))}
                </select>
              }
            />
            <FormField
              label="Upload as"
              value={purpose}
              change={(next) => setPurpose(next as FilePurpose)}
              control={
                <select>
                  {GIVEN_PURPOSES.map((value) => (
                    <option key={value} value={value}>
                      {PURPOSES[value]}
                    </option>
                  ))}
                </select>
              }
            />
          </div>
          <UploadList uploads={uploads} />
          <div ref={list} className={styles.files}>
            <PagedList
              key={shown}
              label="Files"
              query={FilesDocument}
              variables={{ purpose: shown === '' ? null : shown }}
              pageOf={({ files }) => files}
              empty={shown === '' ? 'There are no files yet. Drop some here, or press ‘Upload files’.' : 'There are none of this kind.'}
              more="Older files"
              moment={uploads.stored}
            >
              {(file) => <FileRow file={file} remove={() => setDoomed(file)} />}
            </PagedList>
          </div>
        </div>
      </div>
      <ConfirmDialog
        title={doomed && `Delete ‘${doomed.filename}’?`}
        act="Delete it"
        confirm={async () => refusalOf(await remove({ fileId: doomed!.id }))}
        close={() => setDoomed(null)}
        focusAfter={() => list.current?.querySelector('ul') ?? null}
      >
        It goes out of every vector store, and links to it end at once. Conversations keep their words, and lose the file.
      </ConfirmDialog>
    </DropArea>
  );
}

function FileRow({ file, remove }: { file: FilePartsFragment; remove(): void }) {
  const { urql } = useSkein();
  const [copied, copy] = useCopy();
  const [problem, setProblem] = useState<string | null>(null);
  // Links are good for a time only: this one is asked for when it is wanted.
  const download = async () => {
    const { data, error } = await urql.query(FileWithLinkDocument, { id: file.id }, { requestPolicy: 'network-only' });
    setProblem(error ? reasonOf(error) : data?.file ? null : 'This file was deleted.');
    if (data?.file) save(data.file);
  };
  return (
    <div className={styles.row}>
      <FileFacts file={file} purpose />
      <span className={styles.acts}>
        <IconButton label={`Download ${file.filename}`} icon={<Download size={17} />} onClick={() => void download()} />
        <IconButton
          label={copied ? 'Copied' : `Copy the id of ${file.filename}`}
          icon={copied ? <Check size={17} /> : <Copy size={17} />}
          onClick={() => copy(file.id)}
        />
        <IconButton label={`Delete ${file.filename}`} icon={<Trash2 size={17} />} onClick={remove} />
      </span>
      {problem && <Notice kind="danger">{problem}</Notice>}
    </div>
  );
}

function save({ url, filename }: { url: string; filename: string }): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = filename;
  link.click();
}
