import type { Block, Extraction, Format } from './extraction/extraction.ts';
import type { SourceLocation } from './location.ts';

export interface ChunkingStrategy {
  /** Tokens of o200k_base, 100 to 4096. */
  maxChunkSizeTokens: number;
  /** Tokens that a chunk repeats of the one before; at most half of its size. */
  chunkOverlapTokens: number;
}

export const DEFAULT_CHUNKING: ChunkingStrategy = { maxChunkSizeTokens: 800, chunkOverlapTokens: 400 };

/** `text.slice(startIndex, endIndex)` is what it quotes. */
export interface ChunkRange extends SourceLocation {
  /** Tokens of the range, to within two: a range may begin or end within a token. */
  tokens: number;
  /** Where its last character is; the same as `page` for most. */
  endPage: number | null;
  header: string | null;
}

export interface Chunk extends ChunkRange {
  text: string;
  /** What a search reads: the same words below the headings and the names of the columns that they belong to. */
  indexText: string;
}

/** Tokens that a chunk holds before it ends with its section: smaller sections are packed together. */
const SMALLEST = 1 / 8;
/** A chunk may end this much earlier for the sake of a paragraph, a line, a sentence, a word. */
const GIVE = { paragraph: 1 / 3, line: 1 / 4, sentence: 1 / 5, word: 1 / 10 } as const;

/**
 * Windows over the tokens of a text. A window ends with its section when it holds enough, else at the last good break
 * near its limit; the next one begins an overlap earlier, but never before a heading that stands between them. Sheets
 * and slides are never mixed; pages are, because sentences run over them.
 *
 * @param ends for each token, the UTF-16 offset at which it ends; never within a surrogate pair
 */
export function chunkRanges(
  { format, text, blocks }: Pick<Extraction, 'format' | 'text' | 'blocks'>,
  ends: Uint32Array,
  { maxChunkSizeTokens: max, chunkOverlapTokens: overlap }: ChunkingStrategy,
): ChunkRange[] {
  const boundaries = boundariesOf(format, blocks);
  const newlines = blocks.some(({ line }) => line !== null) ? newlinesOf(text) : NO_NEWLINES;
  const ranges: ChunkRange[] = [];
  const tokenAt = (offset: number): number => countUpTo(ends, offset);
  const offsetOf = (token: number): number => (token <= 0 ? 0 : (ends[Math.min(token, ends.length) - 1] as number));
  let block = 0;
  let boundary = 0;
  let previousEnd = 0;
  for (let start = 0; start < text.length;) {
    const first = tokenAt(start);
    const limit = first + max >= ends.length ? text.length : Math.max(offsetOf(first + max), previousEnd + 1);
    const enough = offsetOf(first + Math.floor(max * SMALLEST));
    while (boundary < boundaries.length && (boundaries[boundary] as Boundary).at <= start) boundary++;
    let cut: Boundary | undefined;
    for (let at = boundary; at < boundaries.length && !cut; at++) {
      const candidate = boundaries[at] as Boundary;
      if (candidate.at > limit) break;
      if (candidate.at > previousEnd && (candidate.hard || candidate.at >= enough)) cut = candidate;
    }
    let end: number;
    if (cut) end = cut.at;
    else if (limit === text.length) end = limit;
    else {
      const from = (share: number): number =>
        Math.max(offsetOf(first + Math.floor(max * (1 - share))), previousEnd + 1);
      end = lastBreak(text, limit, from);
    }
    const [trimmedStart, trimmedEnd] = trim(text, start, end);
    if (trimmedStart < trimmedEnd && trimmedEnd > (ranges.at(-1)?.endIndex ?? 0)) {
      while (block + 1 < blocks.length && (blocks[block] as Block).end <= trimmedStart) block++;
      ranges.push(
        describe(newlines, blocks, block, trimmedStart, trimmedEnd, tokenAt(trimmedEnd) - tokenAt(trimmedStart)),
      );
    }
    previousEnd = end;
    if (cut || end >= text.length || overlap === 0) {
      start = end;
      continue;
    }
    // The overlap must not reach over the heading that this window ran into.
    let floor = start + 1;
    for (let at = boundary; at < boundaries.length && (boundaries[at] as Boundary).at <= end; at++)
      floor = (boundaries[at] as Boundary).at;
    start = Math.max(floor, firstBreak(text, offsetOf(tokenAt(end) - overlap), end));
    if (isLow(text.charCodeAt(start))) start++;
  }
  return ranges;
}

/** The chunk with its words, which need not travel with the text that they are cut from. */
export function withText(text: string, range: ChunkRange): Chunk {
  const own = text.slice(range.startIndex, range.endIndex);
  const missing = range.headingPath.filter((title) => !own.includes(title));
  const above = [missing.join(' > '), range.header && !own.includes(range.header) ? range.header : ''].filter(Boolean);
  return { ...range, text: own, indexText: [...above, own].join('\n') };
}

interface Boundary {
  at: number;
  /** Never crossed; others are while there is little before them. */
  hard: boolean;
}

const APART: ReadonlySet<Format> = new Set(['pptx', 'odp', 'xlsx', 'ods']);

function boundariesOf(format: Format, blocks: readonly Block[]): Boundary[] {
  const hard = APART.has(format);
  const found: Boundary[] = [];
  for (let at = 1; at < blocks.length; at++) {
    const before = blocks[at - 1] as Block;
    const block = blocks[at] as Block;
    if (hard && before.page !== block.page) found.push({ at: block.start, hard });
    else if (before.headingPath.join('\0') !== block.headingPath.join('\0')) {
      // A title within its slide is no boundary; the name of a sheet is one.
      if (!hard || block.page === null) found.push({ at: block.start, hard });
    }
  }
  return found;
}

function describe(
  newlines: Uint32Array,
  blocks: readonly Block[],
  first: number,
  startIndex: number,
  endIndex: number,
  tokens: number,
): ChunkRange {
  let main = blocks[first];
  let most = 0;
  let last = first;
  for (let at = first; at < blocks.length && (blocks[at] as Block).start < endIndex; at++) {
    const { start, end } = blocks[at] as Block;
    const share = Math.min(end, endIndex) - Math.max(start, startIndex);
    if (share > most) {
      most = share;
      main = blocks[at];
    }
    last = at;
  }
  const from = blocks[first];
  const to = blocks[last];
  return {
    startIndex,
    endIndex,
    tokens,
    page: from?.page ?? null,
    endPage: to?.page ?? null,
    startLine: lineAt(newlines, from, startIndex),
    endLine: lineAt(newlines, to, endIndex - 1),
    headingPath: [...(main?.headingPath ?? [])],
    header: main?.header ?? null,
  };
}

function lineAt(newlines: Uint32Array, block: Block | undefined, offset: number): number | null {
  if (!block || block.line === null) return null;
  return block.line + countUpTo(newlines, offset - 1) - countUpTo(newlines, block.start - 1);
}

const NO_NEWLINES = new Uint32Array(0);

function newlinesOf(text: string): Uint32Array {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++;
  const found = new Uint32Array(count);
  for (let at = text.indexOf('\n'), next = 0; at !== -1; at = text.indexOf('\n', at + 1)) found[next++] = at;
  return found;
}

/** Where to end between `from(share)` and `limit`: after a paragraph, else a line, a sentence, a word, else anywhere. */
function lastBreak(text: string, limit: number, from: (share: number) => number): number {
  // Only the window is searched: from the start of a long text this would be quadratic.
  const paragraphs = from(GIVE.paragraph);
  const paragraph = lastIn(text, '\n\n', paragraphs - 2, limit);
  if (paragraph >= paragraphs) return paragraph;
  const lines = from(GIVE.line);
  const line = lastIn(text, '\n', lines - 1, limit);
  if (line >= lines) return line;
  const sentence = from(GIVE.sentence);
  for (let at = limit; at >= sentence; at--) if (endsSentence(text, at)) return at;
  const word = from(GIVE.word);
  for (let at = limit; at >= word; at--) if (isBlank(text.charCodeAt(at - 1))) return at;
  return isLow(text.charCodeAt(limit)) ? limit + 1 : limit;
}

/** Where the last `mark` between two offsets ends, else -1. */
function lastIn(text: string, mark: string, from: number, to: number): number {
  const start = Math.max(0, from);
  const found = text.slice(start, to).lastIndexOf(mark);
  return found === -1 ? -1 : start + found + mark.length;
}

/** Where an overlap begins: at the first sentence, line or else word within its first half. */
function firstBreak(text: string, from: number, end: number): number {
  const middle = from + Math.floor((end - from) / 2);
  for (let at = from; at < middle; at++) if (text.charCodeAt(at - 1) === NEWLINE || endsSentence(text, at)) return at;
  for (let at = from; at < middle; at++) if (isBlank(text.charCodeAt(at - 1))) return at;
  return from;
}

const NEWLINE = 10;
const isBlank = (unit: number): boolean => unit === 32 || unit === NEWLINE || unit === 9;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

function endsSentence(text: string, at: number): boolean {
  const before = text[at - 1];
  if (before !== undefined && '。！？'.includes(before)) return true;
  return before === ' ' && '.!?'.includes(text[at - 2] ?? ' ');
}

function trim(text: string, start: number, end: number): [number, number] {
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return [start, end];
}

/** How many of the sorted numbers are at most `value`. */
function countUpTo(sorted: Uint32Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
