import { useState } from 'react';
import { type FilePartsFragment, FilesDocument } from 'skein/client';
import { FormDialog } from '../parts/form-dialog.tsx';
import { countInWords } from '../parts/in-words.ts';
import { PagedList } from '../parts/paged-list.tsx';
import { FileFacts } from './file-facts.tsx';
import { FileInputButton } from './file-input-button.tsx';
import styles from './file-picker.module.css';
import { UploadList } from './upload-list.tsx';
import { useUploads } from './use-uploads.ts';

interface FilePickerProps {
  open: boolean;
  close(): void;
  title: string;
  words: string;
  /** Files that are there already: they cannot be chosen once more. */
  taken: readonly string[];
  /** How many may be chosen. */
  most?: number;
  /** Takes the chosen ones, and answers with why that was not possible, or null. */
  take(fileIds: readonly string[]): Promise<string | null>;
}

/** Chooses among the project's files, and files of this machine that become some of them. */
export function FilePicker({ open, ...rest }: FilePickerProps) {
  // What is chosen is over with the dialog; what is being sent is not.
  const [opened, setOpened] = useState(0);
  const [was, setWas] = useState(open);
  if (was !== open) {
    setWas(open);
    if (open) setOpened((count) => count + 1);
  }
  return <Picker key={opened} open={open} {...rest} />;
}

function Picker({ open, close, title, words, taken, most = Infinity, take }: FilePickerProps) {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const uploads = useUploads((fileId) => setChosen((now) => [...now, fileId]));
  const over = chosen.length > most;
  const toggle = (id: string) => setChosen((now) => (now.includes(id) ? now.filter((one) => one !== id) : [...now, id]));
  return (
    <FormDialog
      wide
      open={open}
      close={close}
      title={title}
      words={words}
      act={chosen.length === 0 ? 'Add' : `Add ${countInWords(chosen.length, 'file')}`}
      ready={chosen.length > 0 && !over}
      submit={() => take(chosen)}
    >
      <div className={styles.head}>
        <FileInputButton small words="Send new files" give={(files) => uploads.add(files, 'ASSISTANTS')} />
        {over && (
          <span className={styles.over} role="alert">
            {most <= 0 ? 'No more files fit.' : `At most ${countInWords(most, 'more file')}.`}
          </span>
        )}
      </div>
      <UploadList uploads={uploads} />
      <div className={styles.files}>
        <PagedList
          label="Files"
          query={FilesDocument}
          variables={{}}
          pageOf={({ files }) => files}
          empty="The project has no files yet."
          more="Older files"
          moment={uploads.stored}
        >
          {(file) => <Choice file={file} taken={taken.includes(file.id)} chosen={chosen.includes(file.id)} toggle={() => toggle(file.id)} />}
        </PagedList>
      </div>
    </FormDialog>
  );
}

interface ChoiceProps {
  file: FilePartsFragment;
  taken: boolean;
  chosen: boolean;
  toggle(): void;
}

function Choice({ file, taken, chosen, toggle }: ChoiceProps) {
  return (
    <label className={styles.choice} data-taken={taken || undefined}>
      <input type="checkbox" checked={taken || chosen} disabled={taken} onChange={toggle} />
      <FileFacts file={file} />
      {taken && <span className={styles.taken}>there already</span>}
    </label>
  );
}
