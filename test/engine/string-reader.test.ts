import { describe, expect, test } from 'vitest';
import { StringReader } from '../../src/engine/string-reader.ts';

const VALUES = ['', 'print(1)\n', 'a "quoted" \\ path\\n', 'ä😀\u0001 end', '}\n{"code": "x"}', '\ud83d'];

describe('a string that is read while its JSON is still being written', () => {
  test.each(VALUES)('is the same whatever the pieces: %j', (value) => {
    const text = `{ "code" : ${JSON.stringify(value)}, "more": "not this" }`;
    for (let size = 1; size <= text.length; size++) {
      const reader = new StringReader('code');
      let read = '';
      for (let at = 0; at < text.length; at += size) read += reader.read(text.slice(at, at + size));
      expect(read).toBe(value);
    }
  });

  test.each(['print(1)', '["code"]', '{"other": "code"}', ''])('has no text in %j', (text) => {
    expect(new StringReader('code').read(text)).toBe('');
  });

  test('holds back an escape that is not whole', () => {
    const reader = new StringReader('code');
    expect(['{"code":"a\\', 'n', '\\u00', 'e4"'].map((piece) => reader.read(piece))).toEqual(['a', '\n', '', 'ä']);
  });
});
