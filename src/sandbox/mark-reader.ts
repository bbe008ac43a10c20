/** Bytes that wait behind a mark. A flood is not held up by one. */
const MOST_WAITING = 1024 * 1024;
/** No call has so many messages with a mark. What looks like one after these is taken for logs, and counted as such. */
const MOST_MARKS = 500;

/**
 * Finds the marks that a runner writes among the logs to say how far they had come when it sent a message on its other
 * pipe. What comes after a mark waits until `go`. Code can write marks too: then it disturbs the order of what itself has
 * printed.
 */
export interface MarkReader {
  /** Marks seen so far. */
  readonly marks: number;
  /** Whether it stands at a mark. */
  readonly waiting: boolean;
  push(bytes: Buffer): void;
  /** Goes on behind the mark that it stands at, to the next. */
  go(): void;
  /** Lets go of everything. */
  flush(): void;
}

export function createMarkReader(nonce: string, logs: (bytes: Buffer) => void): MarkReader {
  const mark = Buffer.from(`\x1e${nonce}\x1e`);
  let held: Buffer[] = [];
  let heldBytes = 0;
  let marks = 0;
  let waiting = false;
  const hold = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    held.push(bytes);
    heldBytes += bytes.length;
  };
  const takeHeld = (): Buffer => {
    const all = held.length === 1 ? held[0]! : Buffer.concat(held, heldBytes);
    held = [];
    heldBytes = 0;
    return all;
  };
  const emit = (bytes: Buffer): void => {
    if (bytes.length > 0) logs(bytes);
  };
  const go = (): void => {
    waiting = false;
    const rest = takeHeld();
    if (marks >= MOST_MARKS) return emit(rest);
    const at = rest.indexOf(mark);
    if (at >= 0) {
      emit(rest.subarray(0, at));
      marks += 1;
      waiting = true;
      hold(rest.subarray(at + mark.length));
      return;
    }
    const keep = beginningOf(mark, rest);
    emit(rest.subarray(0, rest.length - keep));
    hold(rest.subarray(rest.length - keep));
  };
  return {
    get marks() {
      return marks;
    },
    get waiting() {
      return waiting;
    },
    push(bytes) {
      hold(bytes);
      if (!waiting) go();
      while (waiting && heldBytes > MOST_WAITING) go();
    },
    go,
    flush() {
      while (waiting) go();
      emit(takeHeld());
    },
  };
}

/** How many bytes at the end of `bytes` could be the beginning of `mark`. */
function beginningOf(mark: Buffer, bytes: Buffer): number {
  for (let size = Math.min(mark.length - 1, bytes.length); size > 0; size -= 1) {
    if (bytes.subarray(bytes.length - size).equals(mark.subarray(0, size))) return size;
  }
  return 0;
}
