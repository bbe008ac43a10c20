/**
 * Wake-ups: hints that something is worth looking at, never the truth. A lost one is covered by whoever polls.
 * Topics: `work` (a run may be claimed), `stop` (with the id of a run whose owner is asked to stop), `line` (with the id of a
 * run whose owner has something to tell of those that wait behind it), `keys` (with the
 * id of a key that was revoked), `threads` (with the ids of a
 * project and of its thread that moved), `events` (with the cursor
 * of a thread's newest event), `ingest` (a file may be read into its vector store, or is not to be any more), `stores`
 * (with the id of a vector store that moved).
 */
export type Topic = 'work' | 'stop' | 'line' | 'keys' | 'threads' | 'events' | 'ingest' | 'stores';

export interface Wake {
  /** Wakes the topic's listeners, here at once and in every other process. */
  wake(topic: Topic, subject?: string): void;
  /**
   * Wakes the topic's listeners in other processes alone. Of those with one `key` that wait to be sent, the last
   * stands for all.
   */
  wakeOthers(topic: Topic, subject: string, key?: string): void;
  /**
   * Calls `heard` on every wake-up of the topic until the returned function is called. `missed` is called when any
   * number of wake-ups of other processes may have been lost, which is also when hearing them begins.
   */
  on(topic: Topic, heard: (subject: string) => void, missed: () => void): () => void;
  /** Listeners that are registered: for tests and for health. */
  readonly listeners: number;
  /** What carries wake-ups to other processes: null within one process, which has no others. */
  readonly carrier: Carrier | null;
  /** Sends what still waits, and lets go of every connection. */
  close(): Promise<void>;
}

export interface Carrier {
  readonly driver: 'notify' | 'redis';
  /** What keeps wake-ups from passing now, in words for operators; null = they pass. */
  readonly problem: string | null;
  /** Null where only wake-ups are carried. */
  readonly channels: Channels | null;
  /** Nobody else was heard of: nothing is said. */
  readonly alone: boolean;
}

/** Texts of any size to those processes that listen: like wake-ups they may be lost, and never come to their sender. */
export interface Channels {
  publish(channel: string, text: string): void;
  /** `missed` is called once from now on everything is heard, and again whenever some may have been lost. */
  subscribe(channel: string, heard: (text: string) => void, missed: () => void): () => void;
}

/** Wake-ups within one process. */
export function createLocalWake(): Wake {
  const listeners = createListeners();
  return {
    wake: (topic, subject = '') => listeners.wake(topic, subject),
    wakeOthers() {},
    on: listeners.on,
    get listeners() {
      return listeners.count;
    },
    carrier: null,
    close: () => Promise.resolve(),
  };
}

interface Listener {
  heard: (subject: string) => void;
  missed: () => void;
}

/** The part of every kind of wake-up that is in this process. */
export interface Listeners {
  readonly count: number;
  on: Wake['on'];
  /** In a microtask, so that nobody is called inside a commit. */
  wake(topic: Topic, subject: string): void;
  /** Every topic may have been woken, any number of times. */
  missed(): void;
}

export function createListeners(): Listeners {
  const topics = new Map<Topic, Set<Listener>>();
  return {
    get count() {
      return [...topics.values()].reduce((sum, set) => sum + set.size, 0);
    },
    on(topic, heard, missed) {
      const listener = { heard, missed };
      const listeners = topics.get(topic) ?? new Set();
      topics.set(topic, listeners);
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    wake(topic, subject) {
      const listeners = topics.get(topic);
      if (listeners?.size) queueMicrotask(() => listeners.forEach(({ heard }) => heard(subject)));
    },
    missed() {
      queueMicrotask(() => {
        for (const listeners of topics.values()) for (const { missed } of [...listeners]) missed();
      });
    },
  };
}
