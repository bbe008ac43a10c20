import { useCallback, useSyncExternalStore } from 'react';
import type { Store } from '../store.ts';
import type { Shelf } from './shelf.ts';

type Closable<Value> = Store<Value> & { close(): void };

/** The value of a shelf's store, for as long as the component is there; null without an id, and on a server. */
export function useShelved<Value>(shelf: Shelf<Closable<Value>>, id: string | null): Value | null {
  const listen = useCallback(
    (listener: () => void) => {
      if (id === null) return () => {};
      const letGo = shelf.hold(id);
      const off = shelf.take(id).listen(listener);
      return () => {
        off();
        letGo();
      };
    },
    [shelf, id],
  );
  return useSyncExternalStore(
    listen,
    () => (id === null ? null : shelf.take(id).get()),
    () => null,
  );
}
