import { condense } from './condense.ts';
import type { StoredEvent } from './event.ts';
import type { LogReader } from './log-reader.ts';

/** Events a follower keeps for a reader that is slower than the log; beyond it, the reader is sent back to the log. */
const QUEUE_LIMIT = 512;

export interface Follower {
  /**
   * The next events, in order, never empty; deltas that waited are merged. `'gap'`, once, when the log no longer
   * reaches back to where this follower stands: its reader takes a snapshot and seeks to it. Null once the follower or
   * the tail is closed. One call at a time.
   */
  next(): Promise<StoredEvent[] | 'gap' | null>;
  /** Goes on from behind event `after` instead. */
  seek(after: number): void;
  close(): void;
}

/** A follower, as its tail sees it. */
export class ThreadFollower implements Follower {
  readonly threadId: string;
  readonly #log: LogReader;
  readonly #leave: (follower: ThreadFollower) => void;
  /** The last event handed out. */
  #position: number;
  /** Events that go on from there without a gap. */
  #queue: StoredEvent[] = [];
  /** Whether the log may hold more than the queue does. */
  #behind = true;
  /** What is gone from the log, as far as the reader was told. */
  #told = 0;
  /** Counts moves to another place: what is read for the one before is of no use. */
  #moves = 0;
  #wake: (() => void) | null = null;
  #closed = false;

  constructor(log: LogReader, threadId: string, after: number, leave: (follower: ThreadFollower) => void) {
    this.#log = log;
    this.threadId = threadId;
    this.#position = after;
    this.#leave = leave;
  }

  get #end(): number {
    return this.#queue.at(-1)?.number ?? this.#position;
  }

  get waits(): boolean {
    return this.#wake !== null;
  }

  /** Committed events of its thread. */
  offer(events: StoredEvent[]): void {
    const end = this.#end;
    const last = events.at(-1)!.number;
    if (last <= end) return;
    if (this.#behind || events[0]!.number > end + 1 || this.#queue.length + events.length > QUEUE_LIMIT) {
      this.#behind = true;
    } else {
      for (const event of events) if (event.number > end) this.#queue.push(event);
    }
    this.#wake?.();
  }

  /** Its thread's log has come to `last`. */
  heard(last: number): void {
    if (last <= this.#end) return;
    this.look();
  }

  /** Its thread's log may have grown. */
  look(): void {
    this.#behind = true;
    this.#wake?.();
  }

  seek(after: number): void {
    this.#position = after;
    this.#queue = [];
    this.#behind = true;
    this.#told = 0;
    this.#moves += 1;
  }

  async next(): Promise<StoredEvent[] | 'gap' | null> {
    while (!this.#closed) {
      if (this.#queue.length > 0) {
        const events = this.#queue;
        this.#queue = [];
        return this.#handOut(events);
      }
      if (this.#behind) {
        const read = await this.#read();
        if (read) return read;
        continue;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
    return null;
  }

  async #read(): Promise<StoredEvent[] | 'gap' | null> {
    this.#behind = false; // before the read: what is published while it runs must not be lost
    const moves = this.#moves;
    const { events, logFrom, more } = await this.#log.read(this.threadId, this.#position).catch((error: unknown) => {
      this.#behind = true;
      throw error;
    });
    if (this.#closed || moves !== this.#moves) return null;
    if (this.#position < logFrom && this.#told < logFrom) {
      this.#told = logFrom;
      this.#queue = [];
      this.#behind = true;
      return 'gap';
    }
    const end = events.at(-1)?.number ?? this.#position;
    this.#queue = this.#queue.filter(({ number }) => number > end);
    if (more || (this.#queue.length > 0 && this.#queue[0]!.number > end + 1)) {
      this.#queue = [];
      this.#behind = true;
    }
    return events.length > 0 ? this.#handOut(events) : null;
  }

  #handOut(events: StoredEvent[]): StoredEvent[] {
    this.#position = events.at(-1)!.number;
    return condense(events);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#leave(this);
    this.#wake?.();
  }
}
