import { describe, expect, test } from 'vitest';
import { readJson } from '../../src/playground/parts/json-text.ts';

describe('the place where a text stops being JSON', () => {
  test.each<[text: string, message: string]>([
    ['', 'Line 1, column 1: expected a value, found the end.'],
    ['{\n  "a": x\n}', 'Line 2, column 8: expected a value, found ‘x’.'],
    ['{\n  "a": 1,\n}', 'Line 3, column 1: expected a name in double quotes, found ‘}’.'],
    ['{a: 1}', 'Line 1, column 2: expected a name in double quotes or }, found ‘a’.'],
    ['{"a" 1}', 'Line 1, column 6: expected a colon, found ‘1’.'],
    ['{"a": 1 "b": 2}', 'Line 1, column 9: expected a comma or }, found ‘"’.'],
    ['[1, 2', 'Line 1, column 6: expected a comma or ], found the end.'],
    ['[,]', 'Line 1, column 2: expected a value or ], found ‘,’.'],
    ['{} {}', 'Line 1, column 4: expected nothing more, found ‘{’.'],
    ['[01]', 'Line 1, column 3: expected a comma or ], found ‘1’.'],
    ['["a\nb"]', 'Line 1, column 4: expected no line break or tab inside of a text (write \\n or \\t), found ‘\n’.'],
    [String.raw`["\x"]`, 'Line 1, column 3: expected an escape like \\n, \\" or \\u00e9, found ‘\\’.'],
    ['["open', 'Line 1, column 7: expected a " that closes the text, found the end.'],
    ["{'a': 1}", 'Line 1, column 2: expected a name in double quotes or }, found ‘\'’.'],
    ['😀', 'Line 1, column 1: expected a value, found ‘😀’.'],
  ])('of %j', (text, message) => {
    expect(readJson(text).fault?.message).toBe(message);
  });

  test('nesting may be as deep as what was pasted', () => {
    expect(readJson('['.repeat(200_000)).fault?.column).toBe(200_001);
  });
});

/** The same numbers each time. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

test('is said of every text that is no JSON, of no other, and what stands before it could have gone on', () => {
  const whole = JSON.stringify({ a: [1, -2.5e3, true, null, 'x\n"é'], b: { c: {}, d: [] } }, null, 1);
  const signs = ['{', '}', '[', ']', ',', ':', '"', '\\', '1', 'e', '.', '-', 't', ' ', '\n', 'null', ''];
  const random = numbers(7);
  const pick = (count: number) => random.next().value % count;
  let wrong = 0;
  for (let round = 0; round < 5000; round++) {
    let text = whole;
    for (let change = 0; change <= pick(3); change++) {
      const at = pick(text.length);
      text = text.slice(0, at) + signs[pick(signs.length)]! + text.slice(at + pick(2));
    }
    const { fault, value } = readJson(text);
    if (fault === null) {
      expect(value, text).toEqual(JSON.parse(text));
      continue;
    }
    wrong += 1;
    expect(() => JSON.parse(text), text).toThrow();
    // Cut off there, it is whole, or nothing but its end is missing.
    const before = readJson(text.slice(0, fault.index)).fault;
    if (before !== null) expect(before.message, text).toContain('found the end');
  }
  expect(wrong).toBeGreaterThan(1000);
});
