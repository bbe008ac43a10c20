import { type DragEvent, type ReactNode, useState } from 'react';
import styles from './conversation-view.module.css';

/** Files may be dropped anywhere on a conversation. */
export function DropArea({ drop, children }: { drop: (files: Iterable<File>) => void; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const onDrag = (event: DragEvent) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    setOver(true);
  };
  const onLeave = (event: DragEvent) => {
    if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    drop(event.dataTransfer.files);
  };
  return (
    <section className={styles.view} data-over={over || undefined} onDragEnter={onDrag} onDragOver={onDrag} onDragLeave={onLeave} onDrop={onDrop}>
      {children}
      {over && <div className={styles.drop}>Drop files to attach them</div>}
    </section>
  );
}
