import { File as Plain, FileCode2, FileImage, FileSpreadsheet, FileText } from 'lucide-react';
import type { FilePartsFragment, FilePurpose } from 'skein/client';
import { sizeInWords, typeInWords } from '../parts/in-words.ts';
import { Moment } from '../parts/moment.tsx';
import styles from './file-facts.module.css';

export const PURPOSES: Record<FilePurpose, string> = {
  ASSISTANTS: 'For assistants’ tools',
  VISION: 'Images for the model to look at',
  USER_DATA: 'Other data',
  ASSISTANTS_OUTPUT: 'Made by a tool',
};

/** Purposes that a file which is sent may have. */
export const GIVEN_PURPOSES = ['ASSISTANTS', 'VISION', 'USER_DATA'] as const satisfies readonly FilePurpose[];

/** The same beside what else is said of a file. */
const SHORT: Record<FilePurpose, string> = {
  ASSISTANTS: 'for tools',
  VISION: 'for the model’s eyes',
  USER_DATA: 'other data',
  ASSISTANTS_OUTPUT: 'made by a tool',
};

function signOf(contentType: string) {
  if (contentType.startsWith('image/')) return FileImage;
  if (/csv|sheet|excel/.test(contentType)) return FileSpreadsheet;
  if (/json|javascript|python|xml|html/.test(contentType)) return FileCode2;
  return /^text\/|pdf|word|presentation|rtf/.test(contentType) ? FileText : Plain;
}

/** A file's name with what it is, in words. */
export function FileFacts({ file, purpose = false }: { file: FilePartsFragment; purpose?: boolean }) {
  const Sign = signOf(file.contentType);
  return (
    <span className={styles.file}>
      <Sign size={18} aria-hidden="true" className={styles.sign} />
      <span className={styles.name} title={file.filename}>
        {file.filename}
      </span>
      <span className={styles.facts}>
        <span>{typeInWords(file.contentType)}</span>
        <span>{sizeInWords(file.bytes)}</span>
        <span>
          <Moment at={file.createdAt} />
        </span>
        {purpose && <span>{SHORT[file.purpose]}</span>}
        {file.expiresAt && (
          <span className={styles.expiry}>
            deleted <Moment at={file.expiresAt} />
          </span>
        )}
      </span>
    </span>
  );
}
