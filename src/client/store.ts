/** A value that changes, and those who want to know: what React's `useSyncExternalStore` takes. */
export interface Store<Value> {
  get(): Value;
  /** Calls back when it has changed, at most once for each frame that is drawn. The answer ends it. */
  listen(listener: () => void): () => void;
}

export interface WritableStore<Value> extends Store<Value> {
  set(value: Value): void;
}

/** Milliseconds between two looks where no frames are drawn. */
const FRAME_MS = 16;

export function createStore<Value>(value: Value): WritableStore<Value> {
  const listeners = new Set<() => void>();
  let planned = false;
  const tell = () => {
    planned = false;
    for (const listener of [...listeners]) listener();
  };
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      if (planned || listeners.size === 0) return;
      planned = true;
      onNextFrame(tell);
    },
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** A hidden page draws no frames, and is to be up to date all the same when it is seen again. */
function onNextFrame(then: () => void): void {
  const { requestAnimationFrame, document } = globalThis as {
    requestAnimationFrame?: (then: () => void) => number;
    document?: { visibilityState: string };
  };
  if (requestAnimationFrame && document?.visibilityState === 'visible') requestAnimationFrame(then);
  else setTimeout(then, FRAME_MS);
}
