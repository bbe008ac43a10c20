/**
 * Wake-ups: hints that something is worth looking at, never the truth. A lost one is covered by whoever polls.
 * Topics: `work` (a run may be claimed), `stop` (with the id of a run whose owner is asked to stop), `keys` (with the
 * id of a key that was revoked), `threads` (with a project's id: its list of threads moved).
 */
export type Topic = 'work' | 'stop' | 'keys' | 'threads';

export interface Wake {
  wake(topic: Topic, subject?: string): void;
  /** Calls `listener` on every wake-up of the topic until the returned function is called. */
  on(topic: Topic, listener: (subject: string) => void): () => void;
  /** Listeners that are registered: for tests and for health. */
  readonly listeners: number;
}

/** Wake-ups within one process, delivered in a microtask so that nobody is called inside a commit. */
export function createLocalWake(): Wake {
  const topics = new Map<Topic, Set<(subject: string) => void>>();
  return {
    wake(topic, subject = '') {
      const listeners = topics.get(topic);
      if (listeners) queueMicrotask(() => listeners.forEach((listener) => listener(subject)));
    },
    on(topic, listener) {
      const listeners = topics.get(topic) ?? new Set();
      topics.set(topic, listeners);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get listeners() {
      return [...topics.values()].reduce((sum, set) => sum + set.size, 0);
    },
  };
}
