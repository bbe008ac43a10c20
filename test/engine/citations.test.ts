import { describe, expect, test } from 'vitest';
import { Accumulator } from '../../src/engine/accumulate.ts';
import { Citations, QUOTE_MAX } from '../../src/engine/citations.ts';
import type { Annotation } from '../../src/threads/message.ts';
import type { FileSearchCall, FileSearchResult } from '../../src/tools/tool.ts';

const TEXT = [
  'Llamas hum when they are content.',
  'They carry up to thirty kilograms over high mountains, and lie down when that is too much for them.',
  'Their wool is warm.',
].join(' ');

const result = (text: string, more: Partial<FileSearchResult> = {}): FileSearchResult => ({
  fileId: 'file_a',
  filename: 'a.md',
  score: 0.7,
  text,
  location: { startIndex: 100, endIndex: 100 + text.length, page: null, startLine: 5, endLine: 5, headingPath: ['A'] },
  attributes: {},
  ...more,
});
const search = (...results: FileSearchResult[]): FileSearchCall => ({
  type: 'fileSearch',
  id: 'call_1',
  modelId: null,
  status: 'COMPLETED',
  arguments: '{}',
  failure: null,
  queries: ['q'],
  results,
  rankingOptions: null,
});

type Citation = Annotation & { type: 'fileCitation' };

/** The text and its citations as a message would hold them, said in these pieces. */
function said(pieces: readonly string[], ...searches: FileSearchCall[]): { value: string; annotations: Citation[] } {
  const accumulator = new Accumulator({}, [], new Citations([{ toolCalls: searches }]));
  const deltas = pieces.flatMap((value) => accumulator.text({ type: 'text', value }));
  deltas.push(...accumulator.flush());
  let value = '';
  for (const delta of deltas) {
    if (delta.type !== 'text') throw new Error(delta.type);
    expect(delta.offset).toBe(value.length);
    value += delta.value;
    // A citation is in the delta that carries its text.
    for (const { startIndex, endIndex } of delta.annotations as Citation[]) {
      expect(startIndex).toBeGreaterThanOrEqual(delta.offset);
      expect(endIndex).toBeLessThanOrEqual(value.length);
    }
  }
  const [part] = accumulator.content;
  if (part?.type !== 'text') return { value, annotations: [] };
  expect(part.value).toBe(value);
  return { value, annotations: part.annotations as Citation[] };
}

describe('a marker', () => {
  const answer = 'They hum.【0:0†a.md】 And carry much【0:1†b c.pdf】【1:0†x】! 🦙';
  const searches = [search(result(TEXT), result('Second. They carry much.', { fileId: 'file_b' })), search(result('Third.'))];

  test('becomes a citation with its own text, the file, and words of the passage', () => {
    const { value, annotations } = said([answer], ...searches);
    expect(value).toBe(answer);
    expect(annotations.map(({ text, fileId }) => [text, fileId])).toEqual([
      ['【0:0†a.md】', 'file_a'],
      ['【0:1†b c.pdf】', 'file_b'],
      ['【1:0†x】', 'file_a'],
    ]);
    for (const { text, startIndex, endIndex } of annotations) expect(value.slice(startIndex, endIndex)).toBe(text);
    expect(annotations[0]).toMatchObject({ type: 'fileCitation', score: 0.7, quote: expect.stringContaining('hum') });
  });

  test('is found however the text is cut into pieces', () => {
    const whole = said([answer], ...searches);
    expect(said([...answer], ...searches)).toEqual(whole);
    for (let at = 1; at < answer.length; at++)
      expect(said([answer.slice(0, at), answer.slice(at)], ...searches)).toEqual(whole);
    let seed = 7;
    for (let tries = 0; tries < 200; tries++) {
      const pieces: string[] = [];
      for (let at = 0; at < answer.length; ) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        const length = 1 + (seed % 9);
        pieces.push(answer.slice(at, at + length));
        at += length;
      }
      expect(said(pieces, ...searches)).toEqual(whole);
    }
  });

  test.each([
    ['of a search that was not made', 'x【2:0†a】'],
    ['of a result that there is not', 'x【0:9†a】'],
    ['without numbers', 'x【source】'],
    ['with a line break', 'x【0:0†a\nb】'],
    ['that is not finished', 'x【0:0†a.md'],
    ['that is only begun', 'x【'],
    ['with too many digits', 'x【00000:0†a】'],
    ['within another', 'x【【0】'],
  ])('%s stays as it stands and cites nothing', (_, text) => {
    expect(said([...text], ...searches)).toEqual({ value: text, annotations: [] });
  });

  test('that never ends does not hold the text back for ever', () => {
    const accumulator = new Accumulator({}, [], new Citations([{ toolCalls: searches }]));
    let held = 0;
    for (const value of `【0:0†${'x'.repeat(1000)}`) {
      held += 1;
      if (accumulator.text({ type: 'text', value }).length > 0) held = 0;
      expect(held).toBeLessThan(320);
    }
  });

  test('without a name, and one that is repeated, are taken', () => {
    expect(said(['a【0:0】 b【0:0】'], ...searches).annotations.map(({ startIndex }) => startIndex)).toEqual([1, 8]);
  });

  test('means nothing in a run that has searched for nothing', () => {
    expect(said(['a【0:0†a】'])).toEqual({ value: 'a【0:0†a】', annotations: [] });
  });
});

describe('a quote', () => {
  const quoteOf = (statement: string, passage = TEXT, more: Partial<FileSearchResult> = {}): Citation =>
    said([`${statement}【0:0†a】`], search(result(passage, more))).annotations[0]!;

  test('is the sentence that bears the statement out', () => {
    expect(quoteOf('A llama carries thirty kilograms.').quote).toMatch(/^They carry up to thirty kilograms/);
    expect(quoteOf('Before. Its wool is warm').quote).toContain('Their wool is warm.');
    expect(quoteOf('Something else entirely').quote).toMatch(/^Llamas hum/);
  });

  test.each([
    ['one long line', 'word '.repeat(500)],
    ['no blanks', '🦙'.repeat(400)],
    ['short lines', 'a\nb\nc\n\nd. e! f? g'],
    ['blanks around', '   \n\n  x  \n '],
    ['Japanese', '東京都の天気は晴れです。明日は雨が降ります。'.repeat(20)],
    ['abbreviations', 'See e.g. v1.2.3 at example.com. Then go on with it, i.e. do the next thing.'],
    ['a table', '| a | b |\n|---|---|\n| 1 | 2 |'],
  ])('of a passage with %s is a part of it, at its place, and of bounded length', (_, passage) => {
    for (const statement of ['word', 'x', '明日は雨', 'go on', '']) {
      const { quote, location } = quoteOf(statement, passage);
      expect(quote.length).toBeGreaterThan(0);
      expect(quote.length).toBeLessThanOrEqual(QUOTE_MAX);
      expect(quote.isWellFormed()).toBe(true);
      expect(quote.trim()).toBe(quote);
      const at = location!.startIndex - 100;
      expect(passage.slice(at, at + quote.length)).toBe(quote);
      expect(location!.endIndex - location!.startIndex).toBe(quote.length);
    }
  });

  test('goes on over the end of a line that breaks in the middle of a sentence, and over no other', () => {
    const passage = [
      'A process that is killed is missed when its leases run out; its runs are taken over, and the',
      'attempt grows. Nobody has to do anything for that.',
      '| zebra rows of a table are one each | 1 |',
      '| and so is the next row | 2 |',
      '# A heading that is rather long, about llamas',
      'and what follows it',
    ].join('\n');
    expect(quoteOf('attempt grows when killed', passage)).toMatchObject({
      quote: passage.slice(0, passage.indexOf(' Nobody')),
      location: { startLine: 5, endLine: 6 },
    });
    expect(quoteOf('zebra rows', passage).quote).toBe('| zebra rows of a table are one each | 1 |');
    const long = 'word and more words of a sentence that never ends\n'.repeat(20_000);
    const started = performance.now();
    expect(quoteOf('sentence', long).quote.length).toBeLessThanOrEqual(QUOTE_MAX);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('has the line and the page that it stands on', () => {
    const passage = 'First line here.\nSecond line tells of zebras and of nothing else at all.\nThird line\nruns on.';
    expect(quoteOf('zebras', passage).location).toMatchObject({ startLine: 6, endLine: 6, headingPath: ['A'] });
    const at = passage.indexOf('Third');
    const location = { startIndex: 0, endIndex: passage.length, page: 3, startLine: null, endLine: null, headingPath: [] };
    const pages: [number, number][] = [
      [0, 3],
      [at, 4],
    ];
    expect(quoteOf('zebras', passage, { location, pages }).location).toMatchObject({ page: 3, startLine: null });
    expect(quoteOf('Third runs', passage, { location, pages }).location).toMatchObject({ page: 4 });
  });

  test('of a passage without a place has none', () => {
    expect(quoteOf('zebras', TEXT, { location: null })).toMatchObject({ location: null });
  });
});
