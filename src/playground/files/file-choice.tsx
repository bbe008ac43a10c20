import { Plus, Trash2 } from 'lucide-react';
import { useId, useRef, useState } from 'react';
import { FilesByIdDocument } from 'skein/client';
import { useQuery } from 'urql';
import { Button, IconButton } from '../parts/button.tsx';
import styles from './file-choice.module.css';
import { FileFacts } from './file-facts.tsx';
import { FilePicker } from './file-picker.tsx';

interface FileChoiceProps {
  label: string;
  hint: string;
  most: number;
  fileIds: readonly string[];
  change(fileIds: readonly string[]): void;
  problem: string | null;
  problemOf(index: number): string | null;
}

/** A few of the project's files, by name. */
export function FileChoice({ label, hint, most, fileIds, change, problem, problemOf }: FileChoiceProps) {
  const [picking, setPicking] = useState(false);
  const [{ data, fetching }] = useQuery({ query: FilesByIdDocument, variables: { ids: [...fileIds] }, pause: fileIds.length === 0 });
  const files = (data?.nodes ?? []).filter((node) => node?.__typename === 'File');
  const group = useRef<HTMLFieldSetElement>(null);
  const about = useId();
  const remove = (fileId: string) => {
    change(fileIds.filter((id) => id !== fileId));
    group.current?.querySelector<HTMLElement>('[data-add]')?.focus();
  };
  return (
    <fieldset ref={group} className={styles.choice} aria-describedby={about}>
      <legend>{label}</legend>
      <p id={about} className={styles.hint}>
        {hint} {problem && <span className={styles.problem}>{problem}</span>}
      </p>
      {fileIds.length > 0 && (
        <ul>
          {fileIds.map((fileId, index) => {
            const file = files.find(({ id }) => id === fileId);
            const wrong = problemOf(index);
            const name = file?.filename ?? 'the file that was deleted';
            return (
              <li key={fileId} data-wrong={wrong !== null || undefined}>
                <span className={styles.file}>
                  {file ? <FileFacts file={file} /> : <span className={styles.hint}>{fetching ? fileId : `A file that was deleted (${fileId})`}</span>}
                  {wrong && <span className={styles.problem}>{wrong}</span>}
                </span>
                <IconButton label={`Take out ${name}`} icon={<Trash2 size={16} />} onClick={() => remove(fileId)} />
              </li>
            );
          })}
        </ul>
      )}
      <Button small data-add="" icon={<Plus size={14} />} disabled={fileIds.length >= most} onClick={() => setPicking(true)}>
        Add files
      </Button>
      <FilePicker
        open={picking}
        close={() => setPicking(false)}
        title={label}
        words="Choose among the files of the project, or send new ones."
        taken={fileIds}
        most={most - fileIds.length}
        take={(chosen) => {
          change([...fileIds, ...chosen]);
          return Promise.resolve(null);
        }}
      />
    </fieldset>
  );
}
