import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Queryable } from '../../src/db/db.ts';
import { bytesOf, createExactSearch, type Searched } from '../../src/vector-stores/exact-search.ts';

const DIMENSIONS = 5;
const never = new AbortController().signal;

/** Files of random vectors, and which of them were read. */
function shelf(files: number, chunks: number) {
  let seed = 1;
  const next = () => ((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32) * 2 - 1;
  const vector = () => Float32Array.from({ length: DIMENSIONS }, next);
  const stored = new Map(
    Array.from({ length: files }, (_, i) => [`f${i}`, { epoch: 1, vectors: Array.from({ length: chunks }, vector) }]),
  );
  const reads: string[] = [];
  let slow: Promise<void> | null = null;
  const q: Queryable = {
    async query({ values: [ids] }) {
      await slow;
      const wanted = [...(ids as string[])].sort();
      reads.push(...wanted);
      return wanted.flatMap((file) => {
        const { epoch, vectors } = stored.get(file)!;
        return vectors.map((each) => ({ file, epoch, embedding: bytesOf(each) }));
      }) as never;
    },
  };
  const listed = (): Searched[] => [...stored].map(([id, { epoch, vectors }]) => ({ id, epoch, chunks: vectors.length }));
  const best = (query: Float32Array, limit: number) =>
    [...stored]
      .flatMap(([file, { vectors }]) =>
        vectors.map((each, number) => ({ file, number, cosine: each.reduce((sum, value, i) => sum + value * query[i]!, 0) })),
      )
      .filter(({ cosine }) => cosine > 0)
      .sort((a, b) => b.cosine - a.cosine)
      .slice(0, limit)
      .map(({ file, number }) => `${file} ${number}`);
  return { q, stored, reads, listed, best, vector, hold: (until: Promise<void>) => void (slow = until) };
}

const create = (maxBytes: number) => createExactSearch({ maxBytes, logger: pino({ level: 'silent' }) });
const keys = (hits: readonly { file: string; number: number }[]) => hits.map(({ file, number }) => `${file} ${number}`);
const bytes = (files: number, chunks: number): number => files * chunks * DIMENSIONS * 4;

describe('comparing with all vectors', () => {
  test('finds the nearest, whatever is kept in memory', async () => {
    for (const room of [1e9, bytes(4, 50), 10]) {
      const { q, listed, best, vector } = shelf(10, 50);
      const exact = create(room);
      for (let round = 0; round < 20; round++) {
        const query = vector();
        expect(keys(await exact.search(q, listed(), query, 7, never))).toEqual(best(query, 7));
        expect(exact.bytes).toBeLessThanOrEqual(room);
      }
    }
  });

  test('reads each file once while there is room, and says when there is none', async () => {
    const { q, reads, listed, vector } = shelf(6, 20);
    const roomy = create(1e9);
    for (let round = 0; round < 3; round++) await roomy.search(q, listed(), vector(), 5, never);
    expect(reads).toHaveLength(6);
    expect([roomy.bytes, roomy.problem]).toEqual([bytes(6, 20), null]);
    const narrow = create(bytes(3, 20));
    await narrow.search(q, listed(), vector(), 5, never);
    expect([narrow.bytes, narrow.problem]).toEqual([bytes(3, 20), expect.stringMatching(/VECTOR_CACHE_MB/)]);
  });

  test('lets go first of what was not used for longest', async () => {
    const { q, reads, listed, vector } = shelf(4, 10);
    const exact = create(bytes(2, 10));
    const only = (...ids: number[]) => exact.search(q, listed().filter((_, i) => ids.includes(i)), vector(), 5, never);
    await only(0);
    await only(1);
    await only(0);
    await only(2);
    await only(0);
    expect(reads).toEqual(['f0', 'f1', 'f2']);
    await only(1);
    expect(reads).toEqual(['f0', 'f1', 'f2', 'f1']);
    expect(exact.problem).toBeNull();
  });

  test('reads a file again that was read in anew', async () => {
    const { q, stored, reads, listed, best, vector } = shelf(3, 10);
    const exact = create(1e9);
    const query = vector();
    await exact.search(q, listed(), query, 5, never);
    stored.set('f1', { epoch: 2, vectors: [query, vector()] });
    expect(keys(await exact.search(q, listed(), query, 5, never))).toEqual(best(query, 5));
    expect(reads).toEqual(['f0', 'f1', 'f2', 'f1']);
    expect(exact.bytes).toBe(bytes(2, 10) + bytes(1, 2));
  });

  test('reads for one search at a time, and one that is left does not take the others along', async () => {
    const { q, reads, listed, best, vector, hold } = shelf(5, 10);
    const exact = create(1e9);
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const stop = new AbortController();
    const left = exact.search(q, listed(), vector(), 5, stop.signal);
    const query = vector();
    const others = [1, 2, 3].map(() => exact.search(q, listed(), query, 5, never));
    stop.abort(new Error('enough'));
    gate.resolve();
    await left.catch((error: Error) => expect(error.message).toBe('enough'));
    for (const found of await Promise.all(others)) expect(keys(found)).toEqual(best(query, 5));
    expect(reads.filter((file) => file === 'f0').length).toBeLessThanOrEqual(2);
  });
});
