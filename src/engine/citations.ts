import { SENTENCE } from '../llm/sentences.ts';
import type { RunStep } from '../runs/run.ts';
import type { Annotation } from '../threads/message.ts';
import type { FileSearchCall, FileSearchResult } from '../tools/tool.ts';

type Citation = Annotation & { type: 'fileCitation' };

/** A piece of text that can go out, and the citations that stand in it. */
export interface Cited {
  value: string;
  annotations: Citation[];
}

/** `【search:result†name】`, as the tool has named its results; models leave the name out, or write another. */
const MARKER = /【(\d{1,4}):(\d{1,4})(?:†[^【】\n]{0,300})?】/g;
/** The same without groups, to split by. */
const MARKERS = /【\d{1,4}:\d{1,4}(?:†[^【】\n]{0,300})?】/;
/** What may become a marker. */
const BEGUN = /【(?:\d{1,4}(?::(?:\d{1,4}(?:†[^【】\n]{0,300})?)?)?)?$/;
/** Characters before a marker that it is looked at for what it stands for. */
const MOST_SAID = 400;
export const QUOTE_MAX = 300;
/** A shorter sentence says too little by itself. */
const QUOTE_MIN = 40;

/**
 * Finds the markers of search results in a text that comes in pieces. An unfinished one at the end is held back, up to
 * a bound, so that a citation is in the delta that carries its marker.
 */
export class Citations {
  readonly #searches: readonly FileSearchCall[];
  #held = '';
  /** The end of what was said before in this part. */
  #said = '';

  constructor(steps: readonly Pick<RunStep, 'toolCalls'>[] = []) {
    this.#searches = steps.flatMap(({ toolCalls }) => (toolCalls ?? []).filter((call) => call.type === 'fileSearch'));
  }

  /** `offset`: where what comes out stands in its part. */
  read(piece: string, offset: number): Cited {
    if (this.#searches.length === 0) return { value: piece, annotations: [] };
    const text = this.#held + piece;
    const begun = BEGUN.exec(text);
    this.#held = begun ? begun[0] : '';
    return this.#cite(begun ? text.slice(0, begun.index) : text, offset);
  }

  /** What was held back, when nothing follows it in its part. */
  end(): string {
    const held = this.#held;
    this.#held = '';
    this.#said = '';
    return held;
  }

  #cite(value: string, offset: number): Cited {
    const annotations: Citation[] = [];
    for (const match of value.matchAll(MARKER)) {
      const [marker, search, result] = match;
      const found = this.#searches[Number(search)]?.results[Number(result)];
      if (!found) continue;
      const said = (this.#said + value.slice(0, match.index)).slice(-MOST_SAID);
      const startIndex = offset + match.index;
      const { fileId, score } = found;
      const source = quote(found, statement(said));
      annotations.push({
        type: 'fileCitation',
        text: marker,
        startIndex,
        endIndex: startIndex + marker.length,
        fileId,
        ...source,
        score,
      });
    }
    this.#said = (this.#said + value).slice(-MOST_SAID);
    return { value, annotations };
  }
}

/** What a marker stands for: the last sentence of what was said, from the marker before it on. */
function statement(said: string): string {
  const own = said.split(MARKERS).findLast((part) => /[\p{L}\p{N}]/u.test(part)) ?? '';
  const plain = own.trimEnd();
  const before = plain.slice(0, -1);
  const start = Math.max(...['. ', '! ', '? ', '\n', '。'].map((end) => before.lastIndexOf(end)));
  return plain.slice(start + 1);
}

/** The words of a passage that bear a statement out, and where they stand. */
function quote({ text, location, pages }: FileSearchResult, said: string): Pick<Citation, 'quote' | 'location'> {
  const [start, end] = bestSentence(text, wordsOf(said));
  const words = text.slice(start, end);
  if (!location) return { quote: words, location: null };
  const startIndex = location.startIndex + start;
  const linesBefore = countLines(text.slice(0, start));
  const startLine = location.startLine === null ? null : location.startLine + linesBefore;
  return {
    quote: words,
    location: {
      ...location,
      startIndex,
      endIndex: location.startIndex + end,
      page: pages?.findLast(([at]) => at <= startIndex)?.[1] ?? location.page,
      startLine,
      endLine: startLine === null ? null : startLine + countLines(words),
    },
  };
}

const countLines = (text: string): number => text.split('\n').length - 1;

/** Range of the sentence that has most of the words; the first ones when none has any. */
function bestSentence(text: string, words: ReadonlySet<string>): [start: number, end: number] {
  let best: [number, number] = [0, 0];
  let most = -1;
  for (const match of text.matchAll(SENTENCE)) {
    if (match[0].trim() === '') continue;
    const own = wordsOf(match[0]);
    let shared = 0;
    for (const word of own) if (words.has(word)) shared += 1;
    // Of two that share as much, the shorter one says it more clearly.
    const score = shared / Math.sqrt(Math.max(8, own.size));
    if (score <= most) continue;
    most = score;
    best = [match.index, match.index + match[0].length];
  }
  return shaped(text, best);
}

/** Neither too short to say anything nor longer than a quote may be, and without blanks around it. */
function shaped(text: string, [start, end]: [number, number]): [number, number] {
  while (end < text.length && end - start < QUOTE_MIN) {
    const next = new RegExp(SENTENCE, 'uy');
    next.lastIndex = end;
    const length = next.exec(text)?.[0].length ?? 0;
    end += Math.max(1, length);
  }
  if (end - start > QUOTE_MAX) {
    const blank = text.lastIndexOf(' ', start + QUOTE_MAX);
    end = blank > start + QUOTE_MIN ? blank : start + QUOTE_MAX;
    if (isHigh(text.charCodeAt(end - 1))) end -= 1;
  }
  while (start < end && /\s/.test(text[start]!)) start += 1;
  while (end > start && /\s/.test(text[end - 1]!)) end -= 1;
  return [start, end];
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/** Words by their beginnings, so that most forms of a word are one. */
const wordsOf = (text: string): Set<string> =>
  new Set((text.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []).map((word) => word.slice(0, 6)));
