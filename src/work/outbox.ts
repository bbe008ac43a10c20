/**
 * What waits to be told to other processes. It leaves in batches, at most one of them on its way: the first after a
 * quiet time at once, what comes meanwhile with the next. Nothing is waited for, and while there is no connection it
 * is kept, up to a limit.
 */
export interface Outbox<Item> {
  /** Of the items with one key that wait, the last stands for all. */
  put(key: string, item: Item): void;
  /** There is a connection, or there is none. */
  connected(yes: boolean): void;
  /** Sends what waits, once, if there is a connection. Nothing is taken any more. */
  close(): Promise<void>;
}

export interface OutboxOptions<Item> {
  /** Milliseconds between the beginnings of two batches. */
  windowMs: number;
  sizeOf(item: Item): number;
  /** The size of what may wait; beyond it all is dropped, and `lost` is sent in its place. */
  limit: number;
  lost: Item;
  /** Rejects when the batch may not have left. Its items are sent again then: to hear something twice does no harm. */
  send(batch: Item[]): Promise<void>;
}

const LOST = 'lost';

export function createOutbox<Item>(options: OutboxOptions<Item>): Outbox<Item> {
  const { windowMs, sizeOf, limit, lost, send } = options;
  const waiting = new Map<string, Item>();
  let size = 0;
  let connected = false;
  /** Counts connections: a batch that failed says nothing of one that came after it. */
  let connections = 0;
  let closed = false;
  let sending: Promise<void> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let scheduled = false;
  let lastSend = -Infinity;

  function schedule(): void {
    if (sending || timer || scheduled || waiting.size === 0 || !connected || closed) return;
    const wait = lastSend + windowMs - performance.now();
    scheduled = true;
    // Not yet: whoever tells of one thing often tells of more in the same breath.
    if (wait <= 0) queueMicrotask(start);
    else timer = setTimeout(start, wait);
  }

  function start(): void {
    timer = null;
    scheduled = false;
    if (sending || !connected || closed) return;
    sending = sendAll().finally(() => {
      sending = null;
      schedule();
    });
  }

  async function sendAll(): Promise<void> {
    const batch = takeAll();
    if (batch.length === 0) return;
    lastSend = performance.now();
    const sentOn = connections;
    try {
      await send(batch.map(([, item]) => item));
    } catch {
      // Whoever holds the connection reports what has become of it, and says when there is another.
      if (sentOn === connections) connected = false;
      const newer = takeAll();
      for (const [key, item] of [...batch, ...newer]) keep(key, item);
    }
  }

  function takeAll(): [string, Item][] {
    const all = [...waiting];
    waiting.clear();
    size = 0;
    return all;
  }

  function keep(key: string, item: Item): void {
    const before = waiting.get(key);
    if (before !== undefined) size -= sizeOf(before);
    size += sizeOf(item);
    waiting.set(key, item);
    if (size <= limit) return;
    takeAll();
    waiting.set(LOST, lost);
  }

  return {
    put(key, item) {
      if (closed) return;
      keep(key, item);
      schedule();
    },
    connected(yes) {
      connected = yes;
      if (yes) connections += 1;
      schedule();
    },
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      await sending;
      if (connected) await sendAll();
    },
  };
}
