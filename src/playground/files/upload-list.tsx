import { X } from 'lucide-react';
import { useRef } from 'react';
import { IconButton } from '../parts/button.tsx';
import { sizeInWords } from '../parts/in-words.ts';
import styles from './upload-list.module.css';
import type { Upload, Uploads } from './use-uploads.ts';

/** What is being stored, and what could not be, with the reason. */
export function UploadList({ uploads: { uploads, stored, last, dismiss } }: { uploads: Uploads }) {
  const whole = useRef<HTMLDivElement>(null);
  const drop = (key: number) => {
    dismiss(key);
    // Its button goes with it: the next one has the focus then, or what is around them.
    requestAnimationFrame(() => (whole.current?.querySelector<HTMLElement>('button') ?? whole.current)?.focus());
  };
  return (
    <div ref={whole} tabIndex={-1} className={styles.whole}>
      <p className="visually-hidden" role="status">
        {stored > 0 && `${last} is stored.`}
      </p>
      {uploads.length > 0 && (
        <ul className={styles.uploads} aria-label="Files that are being sent">
          {uploads.map((upload) => (
            <li key={upload.key} className={styles.upload} data-failed={upload.problem !== null || undefined}>
              <span className={styles.name}>{upload.name}</span>
              <UploadState upload={upload} />
              <IconButton
                label={`${upload.problem === null ? 'Do not send' : 'Dismiss'} ${upload.name}`}
                icon={<X size={15} />}
                onClick={() => drop(upload.key)}
              />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function UploadState({ upload: { name, bytes, progress, problem } }: { upload: Upload }) {
  if (problem !== null) {
    return (
      <span className={styles.problem} role="alert">
        {problem}
      </span>
    );
  }
  if (progress === null) return <span className={styles.waits}>In line · {sizeInWords(bytes)}</span>;
  return (
    <>
      <progress value={progress} max={1} aria-label={`Sending ${name}`} />
      <span className={styles.waits}>
        {Math.round(progress * 100)} % of {sizeInWords(bytes)}
      </span>
    </>
  );
}
