import type { ReactNode } from 'react';
import styles from './notice.module.css';

/** Something to be known: `danger` is read out at once. */
export function Notice({ kind, children }: { kind: 'info' | 'warn' | 'danger'; children: ReactNode }) {
  return (
    <div className={[styles.notice, styles[kind]].join(' ')} role={kind === 'danger' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}
