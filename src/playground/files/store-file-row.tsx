import { RotateCw, Tags, Trash2 } from 'lucide-react';
import type { VectorStoreFilePartsFragment, VectorStoreFileStatus } from 'skein/client';
import { IconButton } from '../parts/button.tsx';
import { sizeInWords, typeInWords } from '../parts/in-words.ts';
import { Moment } from '../parts/moment.tsx';
import { StatusBadge } from '../parts/status-badge.tsx';
import styles from './store-file-row.module.css';

export const STATUS_WORDS: Record<VectorStoreFileStatus, string> = {
  COMPLETED: 'Ready',
  IN_PROGRESS: 'Being read',
  FAILED: 'Could not be read',
  CANCELLED: 'Cancelled',
};

export const fileName = ({ file, fileId }: VectorStoreFilePartsFragment): string => file?.filename ?? `a file that has expired (${fileId})`;

interface StoreFileRowProps {
  file: VectorStoreFilePartsFragment;
  /** Changes its attributes. */
  edit(): void;
  /** Reads it once more; null: not in this store. */
  again: (() => void) | null;
  remove(): void;
}

/** A file of a store: how far it is, what is wrong with it, and what searches can filter it by. */
export function StoreFileRow({ file, edit, again, remove }: StoreFileRowProps) {
  const { status, lastError, usageBytes, createdAt, chunkingStrategy } = file;
  const name = fileName(file);
  const attributes = Object.entries(file.attributes as Record<string, string | number | boolean>);
  const mayRepeat = status === 'FAILED' || status === 'CANCELLED';
  return (
    <div className={styles.row}>
      <div className={styles.head}>
        <span className={styles.name} title={name}>
          {name}
        </span>
        <StatusBadge status={status} word={STATUS_WORDS[status]} />
      </div>
      <span className={styles.acts}>
        {mayRepeat && again && <IconButton label={`Read ${name} again`} icon={<RotateCw size={16} />} onClick={again} />}
        <IconButton label={`Attributes of ${name}`} icon={<Tags size={16} />} onClick={edit} />
        <IconButton label={`Take out ${name}`} icon={<Trash2 size={16} />} onClick={remove} />
      </span>
      <p className={styles.facts}>
        {file.file && <span>{typeInWords(file.file.contentType)}</span>}
        {file.file && <span>{sizeInWords(file.file.bytes)}</span>}
        <span>
          added <Moment at={createdAt} />
        </span>
        {status === 'COMPLETED' && (
          <span title={`Passages of at most ${chunkingStrategy.maxChunkSizeTokens} tokens, overlapping by ${chunkingStrategy.chunkOverlapTokens}`}>
            {sizeInWords(usageBytes)} of index
          </span>
        )}
      </p>
      {lastError && <p className={styles.problem}>{lastError.message}</p>}
      {attributes.length > 0 && (
        <ul className={styles.attributes} aria-label={`Attributes of ${name}`}>
          {attributes.map(([key, value]) => (
            <li key={key}>
              <span>{key}</span> {String(value)}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
