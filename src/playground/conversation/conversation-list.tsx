import { ArrowDown } from 'lucide-react';
import { type ReactNode, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { VList, type VListHandle } from 'virtua';
import { Button } from '../parts/button.tsx';
import styles from './conversation-list.module.css';

interface ConversationListProps {
  /** Drawn where they can be seen, and near. */
  items: readonly { readonly key: string; readonly element: ReactNode }[];
  /** Changes whenever the end may have grown. */
  growth: unknown;
  hasOlder: boolean;
  loadingOlder: boolean;
  loadOlder(): void;
}

/** Pixels from an end within which a reader counts as being there. */
const NEAR = 80;
/** Pixels from the beginning within which older messages are asked for. */
const AHEAD = 800;

/** A conversation of any length: it keeps to its end while the reader does, and its beginning comes when it is wanted. */
export function ConversationList({ items, growth, hasOlder, loadingOlder, loadOlder }: ConversationListProps) {
  const list = useRef<VListHandle>(null);
  const frame = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const stays = useRef(true);
  const offset = useRef(0);
  const first = useRef<string | undefined>(undefined);
  const count = useRef(0);

  // What is put before what the reader sees must not move it.
  const head = items[0]?.key;
  const prepended = count.current > 0 && items.length > count.current && head !== first.current;
  useLayoutEffect(() => {
    first.current = head;
    count.current = items.length;
  });

  const last = items.length - 1;
  const toEnd = useCallback(() => {
    if (stays.current && last >= 0) list.current?.scrollToIndex(last, { align: 'end' });
  }, [last]);
  useLayoutEffect(toEnd, [toEnd, growth]);

  // What is drawn may grow by itself: pictures come, a block is opened, the page is made narrower.
  useEffect(() => {
    const observer = new ResizeObserver(toEnd);
    const scrolled = frame.current?.firstElementChild;
    for (const element of [frame.current, scrolled?.firstElementChild]) if (element) observer.observe(element);
    return () => observer.disconnect();
  }, [toEnd]);

  const more = hasOlder && !loadingOlder;
  const look = () => {
    const { scrollOffset = 0, scrollSize = 0, viewportSize = 0 } = list.current ?? {};
    const end = scrollSize - viewportSize - scrollOffset < NEAR;
    // Only a reader who goes up leaves the end: what grows below does not take it away.
    if (end) stays.current = true;
    else if (scrollOffset < offset.current) stays.current = false;
    offset.current = scrollOffset;
    setAtEnd(end || stays.current);
    if (more && scrollOffset < AHEAD) loadOlder();
  };

  // Where nothing scrolls any more, nothing would ask: a conversation that does not fill the page may have older messages
  // all the same, and a reader who has come to the beginning while a page was on its way waits there for the next one.
  useEffect(() => {
    if (!more) return;
    // By then the page that came last has its place.
    const frame = requestAnimationFrame(() => {
      const { scrollOffset = 0, scrollSize = 0, viewportSize = 0 } = list.current ?? {};
      if (scrollSize <= viewportSize || (!stays.current && scrollOffset < AHEAD)) loadOlder();
    });
    return () => cancelAnimationFrame(frame);
  }, [more, loadOlder, items.length]);

  return (
    <div className={styles.frame} ref={frame}>
      <VList ref={list} shift={prepended} className={styles.list} onScroll={look} role="log" aria-label="Conversation" aria-live="off" tabIndex={0} bufferSize={600}>
        {items.map(({ key, element }) => (
          <div key={key} className={styles.item}>
            {element}
          </div>
        ))}
      </VList>
      {loadingOlder && (
        <p className={styles.loading} role="status">
          Loading older messages…
        </p>
      )}
      {!atEnd && (
        <Button
          className={styles.down}
          small
          icon={<ArrowDown size={14} />}
          onClick={() => {
            stays.current = true;
            toEnd();
          }}
        >
          To the newest
        </Button>
      )}
    </div>
  );
}
