import { ArrowLeft } from 'lucide-react';
import { type ReactNode, useEffect, useRef } from 'react';
import { hrefOf, type Route } from '../route.ts';
import styles from './split-view.module.css';

interface SplitViewProps {
  /** Which of the list is shown; null: none. */
  chosen: string | null;
  list: ReactNode;
  listLabel: string;
  detailLabel: string;
  /** Leads back to the list, where there is no room for both. */
  back: Route;
  backWords: string;
  children: ReactNode;
}

/** What is beside the list: for those who move the focus there. */
export const detailPane = (): HTMLElement | null => document.querySelector<HTMLElement>('[data-detail]');

/** A list with one of its things beside it; where there is no room for both, the one or the other. */
export function SplitView({ chosen, list, listLabel, detailLabel, back, backWords, children }: SplitViewProps) {
  const listPane = useRef<HTMLElement>(null);
  const detail = useRef<HTMLElement>(null);

  // What had the focus may be gone with what was shown before: then it goes to what is there instead.
  const before = useRef(chosen);
  useEffect(() => {
    if (before.current === chosen) return;
    before.current = chosen;
    const { activeElement, body } = document;
    if (activeElement && activeElement !== body && activeElement.checkVisibility()) return;
    (chosen === null ? listPane : detail).current?.focus();
  }, [chosen]);

  return (
    <div className={styles.frame}>
      <div className={styles.split} data-chosen={chosen !== null || undefined}>
        <section ref={listPane} className={styles.list} aria-label={listLabel} tabIndex={-1}>
          {list}
        </section>
        <section ref={detail} data-detail="" className={styles.detail} aria-label={detailLabel} tabIndex={-1}>
          <a className={styles.back} href={hrefOf(back)}>
            <ArrowLeft size={15} aria-hidden="true" /> {backWords}
          </a>
          {children}
        </section>
      </div>
    </div>
  );
}
