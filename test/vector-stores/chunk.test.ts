import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { beforeAll, describe, expect, test } from 'vitest';
import { chunkRanges, type ChunkingStrategy, DEFAULT_CHUNKING, withText } from '../../src/vector-stores/chunk.ts';
import { type TokenEnds, tokenEnds } from '../../src/vector-stores/chunk-tokens.ts';
import type { Block, Extraction, Format } from '../../src/vector-stores/extraction/extraction.ts';
import { extractMarkdown } from '../../src/vector-stores/extraction/markdown.ts';

/** Numbers below `below`, the same for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 3266489917);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % below;
  };
}

const ATOMS =
  'word|words |a | |  |\n|\n\n|\n \n|\t|. |! |? |—|é|ß|漢字|。|😀|👩‍👩‍👧|🇩🇪|e\u0301|\ud800|\udc00|<|endoftext|>|{}();|0123456789|https://x.y/z?q=1 |الكلمة |हिन्दी '
    .split('|')
    .concat('|', 'x'.repeat(700), ' '.repeat(300), '\n'.repeat(50));

function randomExtraction(random: (below: number) => number): Extraction {
  let text = '';
  const blocks: Block[] = [];
  const format = (['markdown', 'pptx', 'xlsx', 'pdf', 'text'] as Format[])[random(5)] as Format;
  for (let count = random(20); count >= 0; count--) {
    const start = text.length;
    const atoms = Array.from({ length: 1 + random(random(4) === 0 ? 500 : 60) }, () => ATOMS[random(ATOMS.length)]);
    text += atoms.join('').toWellFormed();
    const headingPath = Array.from({ length: random(3) }, () => `Title ${random(4)}`);
    const place = { page: format === 'pdf' ? blocks.length + 1 : null, line: 1 + random(9), header: null };
    if (text.length > start) blocks.push({ start, end: text.length, headingPath, ...place });
  }
  return { format, encoding: null, text, blocks, warnings: [] };
}

const withoutBlanks = (text: string): string => text.replace(/[ \t\n]/g, '');

describe('chunks', () => {
  let ends: TokenEnds;
  beforeAll(async () => {
    ends = await tokenEnds();
  });
  const chunk = (extraction: Extraction, strategy: ChunkingStrategy = DEFAULT_CHUNKING) =>
    chunkRanges(extraction, ends(extraction.text), strategy).map((range) => withText(extraction.text, range));

  test('quote, cover and stay small, whatever the text', () => {
    let chunks = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const random = randomOf(seed);
      const extraction = randomExtraction(random);
      const max = 100 + random(3) * 150;
      const strategy = { maxChunkSizeTokens: max, chunkOverlapTokens: random(1 + max / 2) };
      const { text, blocks } = extraction;
      let covered = '';
      let end = 0;
      let start = -1;
      for (const each of chunk(extraction, strategy)) {
        const where = `seed ${seed}, chunk at ${each.startIndex}`;
        expect(each.text, where).toBe(text.slice(each.startIndex, each.endIndex));
        expect(each.indexText.endsWith(each.text), where).toBe(true);
        expect(each.text.trim(), where).not.toBe('');
        expect(each.startIndex, where).toBeGreaterThan(start);
        expect(each.endIndex, where).toBeGreaterThan(end);
        expect(each.tokens, where).toBeLessThanOrEqual(max + 2);
        for (const edge of [each.startIndex, each.endIndex])
          expect(/[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(0, edge - 1), edge + 1)), where).toBe(false);
        covered += text.slice(Math.max(end, each.startIndex), each.endIndex);
        const block = blocks.findLast((one) => one.start <= each.startIndex) as Block;
        expect(each.page, where).toBe(block.page);
        const line = (block.line as number) + text.slice(block.start, each.startIndex).split('\n').length - 1;
        expect(each.startLine, where).toBe(line);
        start = each.startIndex;
        end = each.endIndex;
        chunks++;
      }
      expect(withoutBlanks(covered), `seed ${seed}: something is in no chunk`).toBe(withoutBlanks(text));
    }
    console.log(`${chunks} chunks of 120 random texts`);
    expect(chunks).toBeGreaterThan(1000);
  });

  test('count tokens as the tokenizer does', () => {
    const random = randomOf(7);
    for (let round = 0; round < 50; round++) {
      const text = Array.from({ length: 300 }, () => ATOMS[random(28)]).join('');
      const found = ends(text);
      expect(found.at(-1)).toBe(text.length);
      // Runs are cut at 64 blanks and 128 other characters, which may split a token.
      expect(Math.abs(found.length - countTokens(text))).toBeLessThanOrEqual(2 + countTokens(text) * 0.02);
    }
  });

  test('take no time for long runs without a break', () => {
    const started = performance.now();
    for (const text of ['a'.repeat(100_000), ' '.repeat(100_000), '\n'.repeat(100_000), '漢'.repeat(50_000)])
      expect(ends(text).at(-1)).toBe(text.length);
    // Without the cut each of them takes minutes.
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  const paragraphs = (count: number, words: number): string =>
    Array.from({ length: count }, (_, at) => `Paragraph ${at} ${'has some words '.repeat(words)}and ends.`).join(
      '\n\n',
    );
  const plain = (text: string, format: Format = 'text', blocks: Partial<Block>[] = [{}]): Extraction => ({
    ...{ format, encoding: 'utf-8', text, warnings: [] },
    blocks: blocks.map((block) => ({
      ...{ start: 0, end: text.length, headingPath: [], page: null, line: 1, header: null },
      ...block,
    })),
  });

  test('end with a paragraph and repeat about half of the one before', () => {
    const text = paragraphs(60, 10);
    const chunks = chunk(plain(text));
    expect(chunks.length).toBeGreaterThan(4);
    for (const [at, { text: own, tokens, startIndex }] of chunks.entries()) {
      expect(own).toMatch(/^Paragraph \d+ .* ends\.$/s);
      if (at === chunks.length - 1) continue;
      expect(tokens).toBeGreaterThan(500);
      const next = chunks[at + 1];
      const shared = countTokens(text.slice(next?.startIndex, startIndex + own.length));
      expect(shared).toBeGreaterThan(180);
      expect(shared).toBeLessThanOrEqual(402);
    }
  });

  test('end with a sentence where there are no paragraphs, with a word where there are no sentences', () => {
    const sentences = chunk(plain('This is a sentence of some words. '.repeat(400)));
    for (const { text } of sentences) expect(text).toMatch(/^This .*words\.$/s);
    const words = chunk(plain('wordy '.repeat(3000)));
    for (const { text } of words) expect(text).toMatch(/^wordy.*wordy$/s);
    expect(sentences.length * words.length).toBeGreaterThan(20);
  });

  test('end with their section and repeat nothing of it in the next', () => {
    const sections = ['One', 'Two', 'Three'].map((title) => `# ${title}\n\n${paragraphs(6, 10)} in ${title}`);
    const markdown = extractMarkdown({ text: sections.join('\n\n'), encoding: 'utf-8' }, 1e6);
    const chunks = chunk(markdown);
    expect(chunks.map(({ headingPath }) => headingPath)).toEqual([['One'], ['Two'], ['Three']]);
    expect(chunks.map(({ text }) => text)).toEqual(sections);
  });

  test('pack small sections together and tell of the longest', () => {
    const text = '# API\n\n## a\n\nShort.\n\n## b\n\nA little longer than that one is.\n';
    const [only, ...more] = chunk(extractMarkdown({ text, encoding: 'utf-8' }, 1e6));
    expect(more).toEqual([]);
    expect(only).toMatchObject({ headingPath: ['API', 'b'], startLine: 1, endLine: 9, startIndex: 0 });
  });

  test('never mix slides, even small ones', () => {
    const text = 'First\n\nSecond\n\nThird\n';
    const blocks = [
      { start: 0, end: 7, page: 1 },
      { start: 7, end: 15, page: 2 },
      { start: 15, end: 21, page: 3 },
    ];
    expect(chunk(plain(text, 'pptx', blocks)).map(({ text: own, page }) => [own, page])).toEqual([
      ['First', 1],
      ['Second', 2],
      ['Third', 3],
    ]);
    expect(chunk(plain(text, 'pdf', blocks))).toMatchObject([{ page: 1, endPage: 3 }]);
  });

  test('of a table say where their rows are, and are indexed with the names of its columns', () => {
    const rows = Array.from({ length: 600 }, (_, at) => `Person ${at} | City ${at}\n`);
    const header = 'name | city';
    const text = `${header}\n${rows.join('')}`;
    const chunks = chunk(
      plain(text, 'csv', [
        { start: 0, end: 12, line: 1 },
        { start: 12, line: 2, header },
      ]),
    );
    expect(chunks.length).toBeGreaterThan(5);
    for (const [at, { text: own, indexText, startLine, endLine }] of chunks.entries()) {
      expect(own.split('\n')).toEqual(text.split('\n').slice((startLine as number) - 1, endLine as number));
      if (at > 0) expect(indexText).toBe(`${header}\n${own}`);
      else expect(indexText).toBe(own);
    }
  });

  test('are indexed below the headings that they do not show themselves', () => {
    const text = `# Guide\n\nIntro.\n\n## Setup\n\n${paragraphs(40, 10)}`;
    const [first, second] = chunk(extractMarkdown({ text, encoding: 'utf-8' }, 1e6));
    expect(first?.indexText).toBe(first?.text);
    expect(second?.indexText).toBe(`Guide > Setup\n${second?.text}`);
  });
});
