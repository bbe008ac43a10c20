import { useEffect, useRef } from 'react';

/** Does something when a key is pressed together with Alt, wherever the focus is: so that no letter is taken from anybody. */
export function useShortcut(key: string, act: () => void): void {
  const given = useRef(act);
  useEffect(() => {
    given.current = act;
  });
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!event.altKey || event.ctrlKey || event.metaKey || event.key.toLowerCase() !== key.toLowerCase()) return;
      event.preventDefault();
      given.current();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [key]);
}
