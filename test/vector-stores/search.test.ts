import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttributeFilterInput, SearchVectorStoreDocument } from '../../src/generated/graphql/graphql.ts';
import { createRandom } from '../chaos/random.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createShelf, type Shelf } from './shelf.ts';

let app: TestSkein;
let shelf: Shelf;
beforeAll(async () => {
  app = await startSkein();
  shelf = createShelf(app);
});
afterAll(() => app?.close());

const names = (found: readonly { filename: string }[]): string[] => [...new Set(found.map(({ filename }) => filename))];
const errorsOf = async (variables: object) => (await app.raw(SearchVectorStoreDocument, { first: 10, ...variables })).errors;

describe('a search', () => {
  let id: string;
  beforeAll(async () => {
    id = await shelf.storeOf({
      'config.md': '# Options\n\nThe option `bodyLimit` sets how large a request may be.\n\nSee `server.maxParamLength` as well.\n',
      'zoo.md': '# Zoo\n\nLlamas hum when they are content, and the children like that.\n',
      'weather.md': '# 天気\n\n東京都の天気は晴れです。明日は雨が降ります。\n',
      'café.md': '# Cafés\n\nDas Café Größenwahn öffnet um 8:30 Uhr. Version 1.2.3 ist älter als 1.2.10.\n',
      'emoji.md': 'Only this: 🦙🦙🦙 and don’t forget O’Brien.\n',
    });
  });

  test.each([
    ['bodyLimit', 'config.md'],
    ['body limit', 'config.md'],
    ['body_limit', 'config.md'],
    ['body-limit', 'config.md'],
    ['BODYLIMIT', 'config.md'],
    ['maxParamLength', 'config.md'],
    ['max param length of the server', 'config.md'],
    ['humming llamas', 'zoo.md'],
    ['a child who liked it', 'zoo.md'],
    ['明日は雨', 'weather.md'],
    ['東京', 'weather.md'],
    ['grössenwahn', 'café.md'],
    ['öffnet', 'café.md'],
    ['1.2.3', 'café.md'],
    ["O'Brien", 'emoji.md'],
  ])('for %s finds it in %s first', async (query, filename) => {
    expect((await shelf.search(id, query))[0]?.filename).toBe(filename);
  });

  test('scores from 0 to 1, best first, and leaves out what is below the threshold', async () => {
    const all = await shelf.search(id, 'llamas hum bodyLimit');
    expect(all.length).toBeGreaterThan(1);
    for (const [i, { score }] of all.entries()) {
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThanOrEqual(i === 0 ? 1 : all[i - 1]!.score);
    }
    const [first, second] = all;
    const scoreThreshold = (first!.score + second!.score) / 2;
    expect(await shelf.search(id, 'llamas hum bodyLimit', { rankingOptions: { scoreThreshold } })).toEqual([first]);
    expect(await shelf.search(id, 'llamas hum bodyLimit', { first: 1 })).toEqual([first]);
    expect((await shelf.search(id, 'llamas', { rankingOptions: { scoreThreshold: 1 } }))[0]).toMatchObject({ score: 1 });
  });

  test.each([
    ['a quote', "'"],
    ['a backslash', '\\'],
    ['double quotes', '"" "'],
    ['what tsquery is made of', '& | ! <-> ( ) :*'],
    ['what patterns are made of', '%_ $1'],
    ['a picture', '🦙'],
    ['dots', '...'],
    ['common words alone', 'a the of'],
    ['a line separator', '\u2028'],
    ['the longest word', 'x'.repeat(4096)],
    ['the longest word without blanks between', '東'.repeat(4096)],
    ['the most words', Array.from({ length: 680 }, (_, i) => `w${i}`).join(' ')],
  ])('for %s does no harm', async (_, query) => {
    for (const { score } of await shelf.search(id, query)) expect(score).toBeLessThanOrEqual(1);
  });

  test.each<[string, object, RegExp]>([
    ['no query', { query: '' }, /1|query/],
    ['too long a query', { query: 'x'.repeat(4097) }, /4096/],
    ['a null character', { query: 'a\0b' }, /null|NUL|character/i],
    ['half a character', { query: '\ud83e' }, /surrogate|well-formed|character/i],
    ['no results', { query: 'x', first: 0 }, /1 to 50/],
    ['too many results', { query: 'x', first: 51 }, /1 to 50/],
    ['a threshold above 1', { query: 'x', rankingOptions: { scoreThreshold: 1.1 } }, /0 to 1/],
    ['a filter of two comparisons', { query: 'x', filter: { eq: { key: 'a', value: 1 }, ne: { key: 'a', value: 2 } } }, /[Oo]ne ?[Oo]f|[Ee]xactly one/],
    ['a filter of nothing', { query: 'x', filter: {} }, /[Oo]ne ?[Oo]f|[Ee]xactly one/],
    ['a list as a value', { query: 'x', filter: { eq: { key: 'a', value: [1] } } }, /text, a number or a boolean/],
    ['an empty key', { query: 'x', filter: { eq: { key: '', value: 1 } } }, /attribute key/],
    ['a key that is too long', { query: 'x', filter: { eq: { key: 'k'.repeat(65), value: 1 } } }, /64/],
    ['a value that is too long', { query: 'x', filter: { eq: { key: 'k', value: 'v'.repeat(513) } } }, /512/],
    ['greater booleans', { query: 'x', filter: { gt: { key: 'k', value: true } } }, /none is greater/],
    ['too many values', { query: 'x', filter: { in: { key: 'k', values: Array.from({ length: 101 }, (_, i) => i) } } }, /100/],
    ['too many comparisons', { query: 'x', filter: { or: Array.from({ length: 101 }, () => ({ eq: { key: 'k', value: 1 } })) } }, /100 comparisons/],
    [
      'too many levels',
      { query: 'x', filter: Array.from({ length: 8 }).reduce<object>((inner) => ({ and: [inner] }), { eq: { key: 'k', value: 1 } }) },
      /8 levels/,
    ],
  ])('with %s is refused in words', async (_, variables, words) => {
    const [error] = (await errorsOf({ id, ...variables }))!;
    expect(error!.message).toMatch(words);
  });

  test('over a store of another project finds no store', async () => {
    const made = await app.raw('mutation { createProject(input: { name: "other" }) { created { firstKey { secret } } } }');
    expect(made.errors).toBeUndefined();
    const { secret } = (made.data!.createProject as { created: { firstKey: { secret: string } } }).created.firstKey;
    const answer = await app.raw(SearchVectorStoreDocument, { id, query: 'llamas', first: 10 }, secret);
    expect([answer.data, answer.errors]).toEqual([{ vectorStore: null }, undefined]);
  });
});

type Value = string | number | boolean;
type Filter = AttributeFilterInput;

/** What a filter means, said once more. */
function fits(filter: Filter, attributes: Record<string, Value>): boolean {
  const [[op, inner]] = Object.entries(filter) as [[string, any]];
  if (op === 'and') return (inner as Filter[]).every((each) => fits(each, attributes));
  if (op === 'or') return (inner as Filter[]).some((each) => fits(each, attributes));
  const own = attributes[inner.key];
  if (op === 'in') return (inner.values as Value[]).includes(own!);
  if (op === 'nin') return !(inner.values as Value[]).includes(own!);
  if (op === 'eq') return own === inner.value;
  if (op === 'ne') return own !== inner.value;
  if (typeof own !== typeof inner.value) return false;
  // Texts by their characters, as the database compares them: by code points.
  const order = typeof own === 'string' ? Buffer.compare(Buffer.from(own), Buffer.from(inner.value)) : Number(own) - Number(inner.value);
  return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[op]!;
}

describe('a filter', () => {
  const KEYS = ['year', 'a "quoted" \\ key', 'naïve.key[0]', '$', '@', '🦙', 'missing'];
  const VALUES: Value[] = [2023, 2024, 2024.5, -1, 0, 1e21, 1e-7, 'a', 'b', 'B', '', '2024', '"; drop', "it's", '\\', 'é', '🦙', '\u2028', true, false];
  const { pick, chance, int } = createRandom('filters');
  const attributes = Array.from({ length: 24 }, () =>
    Object.fromEntries(KEYS.slice(0, -1).filter(() => chance(0.7)).map((key) => [key, pick(VALUES)])),
  );
  const OPS = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'nin'] as const;
  function comparison(op: (typeof OPS)[number], key: string, values: Value[]): Filter {
    const of = op === 'in' || op === 'nin' ? { key, values } : { key, value: values[0]! };
    return { [op]: of } as object as Filter; // a key that is not known here is beyond the type
  }
  function someFilter(depth: number): Filter {
    if (depth > 0 && chance(0.5)) {
      const filters = Array.from({ length: int(0, 3) }, () => someFilter(depth - 1));
      return chance(0.5) ? { and: filters } : { or: filters };
    }
    const op = pick(OPS);
    const ordered = VALUES.filter((each) => typeof each !== 'boolean');
    const several = op === 'in' || op === 'nin';
    const values = op === 'eq' || op === 'ne' || several ? VALUES : ordered;
    return comparison(op, pick(KEYS), Array.from({ length: several ? int(0, 4) : 1 }, () => pick(values)));
  }

  test('finds exactly the files that it fits, whatever it is made of', { timeout: 60_000 }, async () => {
    const files = await Promise.all(
      attributes.map(async (each, i) => ({ fileId: await shelf.upload(`f${i}.txt`, `Common words, and w${i}.`), attributes: each })),
    );
    const id = await shelf.store();
    await shelf.add(id, files);
    await shelf.settled(id);
    const filters = [
      ...OPS.flatMap((op) => KEYS.slice(0, 2).map((key) => comparison(op, key, ['a', ...VALUES]))),
      ...Array.from({ length: 150 }, () => someFilter(3)),
    ];
    let some = 0;
    for (const filter of filters) {
      const expected = files.filter((file) => fits(filter, file.attributes)).map(({ fileId }) => fileId);
      const found = await shelf.search(id, 'common words', { filter, first: 50 });
      expect([JSON.stringify(filter), found.map(({ fileId }) => fileId).sort()]).toEqual([JSON.stringify(filter), expected.sort()]);
      if (expected.length > 0 && expected.length < files.length) some += 1;
    }
    expect(some).toBeGreaterThan(60);
    expect(names(await shelf.search(id, 'w3', { filter: { ne: { key: 'missing', value: 1 } } }))[0]).toBe('f3.txt');
  });
});
