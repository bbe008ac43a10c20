import { type ReactNode, useEffect, useRef, useState } from 'react';
import { ConfirmDialog } from './confirm-dialog.tsx';

interface LeaveGuard {
  /** To be drawn: it asks. */
  question: ReactNode;
  /** Lets the next step pass, for those who have asked already or have saved. */
  release(): void;
}

/**
 * While there is something to lose, whoever is about to go elsewhere is asked first. Links are held before they lead
 * anywhere; the back button has led there already, so the address that was left is put on top again.
 */
export function useLeaveGuard(dirty: boolean, words: string): LeaveGuard {
  const [wanted, setWanted] = useState<string | null>(null);
  const off = useRef(() => {});

  useEffect(() => {
    if (!dirty) return;
    const here = location.hash;
    const listening = new AbortController();
    const { signal } = listening;
    const hold = (event: MouseEvent) => {
      const link = event.target instanceof Element ? event.target.closest('a[href^="#/"]') : null;
      const hash = link?.getAttribute('href');
      if (!hash || hash === here || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      setWanted(hash);
    };
    const comeBack = (event: PopStateEvent) => {
      const { hash } = location;
      if (hash === here) return;
      event.stopImmediatePropagation();
      history.pushState(null, '', here);
      setWanted(hash);
    };
    addEventListener('click', hold, { capture: true, signal });
    addEventListener('popstate', comeBack, { capture: true, signal });
    addEventListener('beforeunload', (event) => event.preventDefault(), { signal });
    off.current = () => listening.abort();
    return () => listening.abort();
  }, [dirty]);

  const release = () => off.current();
  const leave = () => {
    release();
    location.hash = wanted!;
    return Promise.resolve(null);
  };
  const question = (
    <ConfirmDialog
      title={wanted === null ? null : 'Leave without saving?'}
      act="Leave without saving"
      keep="Stay"
      confirm={leave}
      close={() => setWanted(null)}
    >
      {words}
    </ConfirmDialog>
  );
  return { question, release };
}
