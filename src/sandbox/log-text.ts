/** What a call has printed: passed on while there is room, then only its end kept, for the last. */
export interface LogText {
  /** Bytes that have come, kept or not. */
  readonly bytes: number;
  readonly omitted: number;
  push(bytes: Buffer): void;
  /** Passes on what was kept of the end. Nothing can be pushed after it. */
  finish(): void;
  /** Adds the host's or the runner's own words on a line of their own; not counted. */
  add(text: string): void;
  /** All that was passed on. */
  text(): string;
}

/** Bytes. Pieces that are smaller are put together, so that a print of single characters does not become a million. */
const SMALL = 8 * 1024;

export function createLogText(most: number, pass: (text: string) => void): LogText {
  const mostHead = Math.ceil(most / 2);
  const mostTail = Math.floor(most / 2);
  const decoder = new TextDecoder();
  const passed: string[] = [];
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let headBytes = 0;
  let bytes = 0;
  let omitted = 0;
  let atLineStart = true;

  const say = (text: string): void => {
    const clean = storable(text);
    if (clean === '') return;
    atLineStart = clean.endsWith('\n');
    passed.push(clean);
    pass(clean);
  };
  const keep = (piece: Buffer): void => {
    // Always a copy: the piece is a view of a buffer that is much larger.
    const last = tail.at(-1);
    if (last && last.length < SMALL) tail[tail.length - 1] = Buffer.concat([last, piece]);
    else tail.push(Buffer.from(piece));
    tailBytes += piece.length;
    while (tail.length > 0 && tailBytes - tail[0]!.length >= mostTail) {
      tailBytes -= tail[0]!.length;
      omitted += tail.shift()!.length;
    }
  };
  return {
    get bytes() {
      return bytes;
    },
    get omitted() {
      return omitted;
    },
    push(piece) {
      bytes += piece.length;
      let rest = piece;
      if (headBytes < mostHead && tail.length === 0) {
        const head = piece.subarray(0, mostHead - headBytes);
        headBytes += head.length;
        say(decoder.decode(head, { stream: true }));
        rest = piece.subarray(head.length);
      }
      if (rest.length > 0) keep(rest);
    },
    finish() {
      let end: Buffer = Buffer.concat(tail, tailBytes);
      tail = [];
      const over = Math.max(0, end.length - mostTail);
      if (omitted + over > 0) {
        say(decoder.decode());
        let start = over;
        while (start < end.length && start < over + 3 && (end[start]! & 0xc0) === 0x80) start += 1;
        omitted += start;
        end = end.subarray(start);
        say(`${atLineStart ? '' : '\n'}[… ${omitted} bytes are left out here …]\n`);
      }
      say(decoder.decode(end, { stream: true }) + decoder.decode());
    },
    add(text) {
      if (text !== '') say(`${atLineStart ? '' : '\n'}${text.endsWith('\n') ? text : `${text}\n`}`);
    },
    text: () => passed.join(''),
  };
}

/** PostgreSQL has no place for NUL, and JSON none for half a surrogate pair. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}
