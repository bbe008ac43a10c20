import type { Load } from './load.ts';

/**
 * One item of a subscription whose data must be read in one moment: `take` opens a snapshot of the database, hands its
 * event to `deliver` together with the reads of that snapshot, and closes it when the event is delivered.
 */
export class Snapshot<Event> {
  readonly take: <T>(deliver: (event: Event, load: Load) => Promise<T>) => Promise<T>;
  constructor(take: <T>(deliver: (event: Event, load: Load) => Promise<T>) => Promise<T>) {
    this.take = take;
  }
}

/**
 * What a subscription field hands out. Its `return()` ends a `next()` that waits, which a native async generator's
 * does not: it would queue behind it, and the subscription of a client that has left would stay for ever.
 */
export class EventSource<Event> implements AsyncIterableIterator<Event> {
  readonly #read: () => Promise<readonly Event[] | null>;
  readonly #close: () => void;
  #ready: readonly Event[] = [];
  #place = 0;
  #closed = false;

  /** `read` answers with the next events, or null at the end; `close` makes a `read` that waits answer null. */
  constructor(read: () => Promise<readonly Event[] | null>, close: () => void) {
    this.#read = read;
    this.#close = close;
  }

  async next(): Promise<IteratorResult<Event, undefined>> {
    while (!this.#closed) {
      if (this.#place < this.#ready.length) return { done: false, value: this.#ready[this.#place++]! };
      const events = await this.#read().catch(async (error: unknown) => {
        await this.return();
        throw error;
      });
      if (events === null) break;
      this.#ready = events;
      this.#place = 0;
    }
    await this.return();
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<Event, undefined>> {
    if (!this.#closed) {
      this.#closed = true;
      this.#close();
    }
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
