import { expect, test } from 'vitest';
import { countInWords, momentInWords, sizeInWords, typeInWords } from '../../src/playground/parts/in-words.ts';

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [999, '999 bytes'],
  [1000, '1 kB'],
  [1_234_567, '1.23 MB'],
  [512_000_000, '512 MB'],
  [5e15, '5,000 TB'],
])('%d bytes are %s', (bytes, words) => {
  expect(sizeInWords(bytes)).toBe(words);
});

const NOW = Date.parse('2026-11-23T12:00:00.000Z');

test.each([
  ['2026-11-23T11:59:30.000Z', 'just now'],
  ['2026-11-23T12:00:30.000Z', 'in a moment'],
  ['2026-11-23T11:15:00.000Z', '45 minutes ago'],
  ['2026-11-22T18:00:00.000Z', '18 hours ago'],
  ['2026-11-22T11:00:00.000Z', 'yesterday'],
  ['2026-12-23T11:59:59.000Z', 'in 30 days'],
  ['2025-01-05T12:00:00.000Z', '5 Jan 2025'],
])('%s is %s', (at, words) => {
  expect(momentInWords(at, NOW)).toBe(words);
});

test('types have the names that people know', () => {
  const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
  const types = ['application/pdf', 'text/plain; charset=utf-8', word, 'image/png', 'application/x-parquet'];
  expect(types.map(typeInWords)).toEqual(['PDF', 'Text', 'Word document', 'PNG image', 'application/x-parquet']);
});

test('counts agree with their nouns', () => {
  expect([countInWords(1, 'file'), countInWords(1200, 'file')]).toEqual(['1 file', '1,200 files']);
});
