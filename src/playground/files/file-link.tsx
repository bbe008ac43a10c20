import { Download, FileText } from 'lucide-react';
import type { ReactNode } from 'react';
import { FileWithLinkDocument } from 'skein/client';
import { useQuery } from 'urql';
import styles from './file-link.module.css';

/** Links to bytes are good for a time only: each page that shows one asks for its own. */
const useFile = (fileId: string) => useQuery({ query: FileWithLinkDocument, variables: { id: fileId } })[0];

/** A file by its name, to be downloaded. */
export function FileChip({ fileId, icon, children }: { fileId: string; icon?: ReactNode; children?: ReactNode }) {
  const { data, fetching } = useFile(fileId);
  const file = data?.file;
  if (!file) return <span className={styles.chip}>{fetching ? (children ?? fileId) : 'A file that was deleted'}</span>;
  return (
    <a className={styles.chip} href={file.url} download={file.filename} title={`Download ${file.filename}`}>
      {icon ?? <Download size={14} />}
      <span className={styles.name}>{children ?? file.filename}</span>
    </a>
  );
}

/** A picture that is stored here. */
export function FilePicture({ fileId, alt }: { fileId: string; alt?: string }) {
  const { data, fetching } = useFile(fileId);
  const file = data?.file;
  if (!file) return <p className={styles.missing}>{fetching ? 'Loading a picture…' : 'A picture that was deleted'}</p>;
  if (!file.contentType.startsWith('image/')) return <FileChip fileId={fileId} icon={<FileText size={14} />} />;
  return (
    <a href={file.url} download={file.filename} className={styles.picture} title={`Download ${file.filename}`}>
      <img src={file.url} alt={alt ?? file.filename} />
    </a>
  );
}
