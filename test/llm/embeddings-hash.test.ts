import { expect, test } from 'vitest';
import { createHashEmbedder } from '../../src/llm/embeddings-hash.ts';

const embedder = createHashEmbedder();
const never = new AbortController().signal;
const embed = async (...texts: string[]): Promise<Float32Array[]> => embedder.embed(texts, never);
const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

test('says openly what it is', () => {
  expect(embedder).toMatchObject({ name: 'hash-768', driver: 'hash-768', dimensions: 768 });
});

test('gives the same text the same vector of length 1, and a text without words none', async () => {
  const texts = ['Llamas hum.', 'bodyLimit', '東京都の天気', 'x'.repeat(200_000), '🦙', '', '...', 'a the of'];
  const vectors = await embed(...texts);
  expect(await embed(...texts)).toEqual(vectors);
  expect(vectors.map((vector) => [vector.length, Math.round(Math.hypot(...vector))])).toEqual(
    [1, 1, 1, 1, 0, 0, 0, 0].map((length) => [768, length]),
  );
});

// What is stored is compared with what a later version makes of a query: the numbers must never change.
test('makes the vectors that stored ones are compared with', async () => {
  const [vector] = await embed('Llamas carry up to thirty kilograms; set bodyLimit.');
  const strongest = [...vector!.entries()].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 5);
  expect(strongest.map(([place, value]) => [place, Number(value.toFixed(4))])).toEqual([
    [68, -0.2732],
    [103, -0.2732],
    [116, 0.2732],
    [253, 0.2732],
    [318, -0.2732],
  ]);
});

test('finds what is spelled alike, also in other forms and parts of names, and no meaning', async () => {
  const [limit, ask, other, synonym] = await embed(
    'The option bodyLimit sets the maximum size of a request.',
    'body limit of requests',
    'Llamas hum when they are content.',
    'alpacas purr if satisfied',
  );
  expect(cosine(limit!, ask!)).toBeGreaterThan(0.4);
  expect(cosine(other!, ask!)).toBeLessThan(0.25);
  expect(cosine(other!, synonym!)).toBeLessThan(0.25);
});

test('lets others have their turn, and stops on abort', async () => {
  const stop = new AbortController();
  const texts = Array.from({ length: 20_000 }, (_, i) => `text ${i} of many that take a while`);
  setImmediate(() => stop.abort(new Error('enough')));
  await expect(embedder.embed(texts, stop.signal)).rejects.toThrow('enough');
});
