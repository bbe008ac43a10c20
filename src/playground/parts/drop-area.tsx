import { type DragEvent, type ReactNode, useState } from 'react';
import styles from './drop-area.module.css';

interface DropAreaProps {
  drop: (files: Iterable<File>) => void;
  /** What dropping does. */
  words?: string;
  /** How it lies in what is around it, where it is not the whole view. */
  className?: string;
  children: ReactNode;
}

/** Files may be dropped anywhere on a view, or on a part of one. */
export function DropArea({ drop, words = 'Drop files to attach them', className = styles.view, children }: DropAreaProps) {
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
    <section className={className} data-over={over || undefined} onDragEnter={onDrag} onDragOver={onDrag} onDragLeave={onLeave} onDrop={onDrop}>
      {children}
      {over && <div className={styles.drop}>{words}</div>}
    </section>
  );
}
