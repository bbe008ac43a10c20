import type { Readable } from 'node:stream';

const NEWLINE = 0x0a;

export interface LineHooks {
  /** False when enough was heard. */
  line(text: string): boolean;
  /** A line grew past `most` bytes. No more lines are told of. */
  tooLong(): void;
}

/**
 * Splits what a box says into lines. What waits for its end is kept in pieces and never searched twice, so that a flood
 * without a single newline costs the host no more than its bytes.
 */
export function readLines(stream: Readable, most: number, hooks: LineHooks): void {
  let pieces: Buffer[] = [];
  let length = 0;
  let stopped = false;
  stream.on('data', (chunk: Buffer) => {
    let from = 0;
    while (!stopped) {
      const end = chunk.indexOf(NEWLINE, from);
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
      length += piece.length;
      if (length > most) {
        stopped = true;
        pieces = [];
        hooks.tooLong();
        return;
      }
      pieces.push(piece);
      if (end < 0) return;
      const text = pieces.length === 1 ? piece.toString('utf8') : Buffer.concat(pieces, length).toString('utf8');
      pieces = [];
      length = 0;
      from = end + 1;
      stopped = !hooks.line(text);
    }
  });
}
