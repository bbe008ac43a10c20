import { describe, expect, test } from 'vitest';
import { FileLinks } from '../../src/engine/file-links.ts';
import type { CodeInterpreterCall } from '../../src/tools/tool.ts';

const call = (...files: [path: string, fileId: string][]): CodeInterpreterCall => ({
  type: 'codeInterpreter',
  id: 'call_1',
  modelId: null,
  status: 'COMPLETED',
  arguments: '',
  failure: null,
  input: '',
  outputs: [],
  files: files.map(([name, fileId]) => ({ path: `/mnt/data/${name}`, fileId })),
});
const STEPS = [
  { toolCalls: [call(['a.csv', 'file_old'], ['a.csv.gz', 'file_gz'])] },
  { toolCalls: [call(['a.csv', 'file_a'], ['Über sicht.xlsx', 'file_x'])] },
];
const TEXT =
  'Here: [table](sandbox:/mnt/data/a.csv), sandbox:/mnt/data/a.csv.gz, sandbox:/mnt/data/nobody.txt, ' +
  '[sheet](sandbox:/mnt/data/Über sicht.xlsx) and sandbox:/mnt/data/a.csv';

function readIn(size: number) {
  const links = new FileLinks(STEPS);
  let value = '';
  const annotations = [];
  for (let at = 0; at < TEXT.length; at += size) {
    const part = links.read(TEXT.slice(at, at + size), value.length);
    // An annotation is in the piece that carries the end of its text, and its text stands where it says.
    for (const { startIndex, endIndex } of part.annotations) {
      expect(startIndex).toBeGreaterThanOrEqual(value.length);
      expect(endIndex).toBeLessThanOrEqual(value.length + part.value.length);
    }
    value += part.value;
    annotations.push(...part.annotations);
  }
  const rest = links.end(value.length);
  return { value: value + rest.value, annotations: [...annotations, ...rest.annotations] };
}

describe('links to files that code has left', () => {
  test('are found whatever the pieces of the text, and nothing else is', () => {
    const whole = readIn(TEXT.length);
    expect(whole.value).toBe(TEXT);
    expect(whole.annotations.map(({ text, fileId }) => [text, fileId])).toEqual([
      ['sandbox:/mnt/data/a.csv', 'file_a'],
      ['sandbox:/mnt/data/a.csv.gz', 'file_gz'],
      ['sandbox:/mnt/data/Über sicht.xlsx', 'file_x'],
      ['sandbox:/mnt/data/a.csv', 'file_a'],
    ]);
    for (const { text, startIndex, endIndex } of whole.annotations) expect(TEXT.slice(startIndex, endIndex)).toBe(text);
    for (let size = 1; size < TEXT.length; size++) expect(readIn(size)).toEqual(whole);
  });

  test('cost nothing where no file was left', () => {
    expect(new FileLinks([]).read('sandbox:/mnt', 0)).toEqual({ value: 'sandbox:/mnt', annotations: [] });
  });
});
