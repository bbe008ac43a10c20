import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitFor } from '../server/wait-for.ts';
import { mintStorageKey, NoBytesError, type Storage } from '../../src/files/storage.ts';

export interface StorageGround {
  storage: Storage;
  /** Everything that is kept, finished or not, by any name. */
  kept(): Promise<string[]>;
  close(): Promise<void>;
}

const MB = 1024 * 1024;
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** What every storage does, whatever it is made of. */
export function describeStorage(name: string, open: () => Promise<StorageGround>): void {
  describe(`the storage on ${name}`, () => {
    let ground: StorageGround;
    let storage: Storage;
    let key: string;

    beforeAll(async () => {
      ground = await open();
      ({ storage } = ground);
    });
    beforeEach(() => {
      key = mintStorageKey();
    });
    afterAll(() => ground.close());

    const put = (data: Uint8Array, chunk = 64 * 1024) => storage.put(key, inChunks(data, chunk));
    const got = async (range?: { start: number; end: number }) => buffer(await storage.get(key, range));

    test.each([
      ['nothing', 0, 1],
      ['one byte', 1, 1],
      ['a little in odd pieces', 100_003, 7919],
      ['a little in one piece', 100_003, MB],
      ['exactly one part of eight megabytes', 8 * MB, MB],
      ['a byte more than that', 8 * MB + 1, 300_007],
      ['several parts in pieces larger than a part', 21 * MB + 11, 10 * MB],
    ])('gives back %s as it was put, with its size and hash', async (_what, bytes, chunk) => {
      const data = randomBytes(bytes);
      expect(await put(data, chunk)).toEqual({ bytes, sha256: sha256(data) });
      expect(sha256(await got())).toBe(sha256(data));
    });

    test('gives back any range of it', async () => {
      const data = randomBytes(9 * MB);
      await put(data);
      for (const [start, end] of [
        [0, 0],
        [0, 9],
        [MB - 1, MB],
        [8 * MB - 3, 8 * MB + 3],
        [9 * MB - 1, 9 * MB - 1],
      ] as const) {
        expect(await got({ start, end })).toEqual(data.subarray(start, end + 1));
      }
    });

    test('can be left in the middle of reading', async () => {
      await put(randomBytes(9 * MB));
      const stream = await storage.get(key);
      for await (const chunk of stream) {
        expect(chunk).toBeInstanceOf(Uint8Array);
        break;
      }
      await waitFor('the stream to be given up', () => stream.destroyed || stream.closed);
      expect((await got({ start: 0, end: 4 })).byteLength).toBe(5);
    });

    test.each([
      ['at once', 0],
      ['in the first part', MB],
      ['in the third part', 17 * MB],
    ])('keeps nothing of a stream that fails %s', async (_when, after) => {
      const before = await ground.kept();
      const failing = async function* () {
        yield* inChunks(randomBytes(after), MB);
        throw new Error('the sender has gone');
      };
      await expect(storage.put(key, failing())).rejects.toThrow('the sender has gone');
      await expect(storage.get(key)).rejects.toBeInstanceOf(NoBytesError);
      expect(await ground.kept()).toEqual(before);
    });

    test('keeps nothing of one that is aborted', async () => {
      const before = await ground.kept();
      const abort = new AbortController();
      const endless = async function* () {
        for (let i = 0; ; i++) {
          if (i === 20) abort.abort(new Error('enough'));
          yield randomBytes(MB);
        }
      };
      await expect(storage.put(key, endless(), abort.signal)).rejects.toThrow();
      await expect(storage.get(key)).rejects.toBeInstanceOf(NoBytesError);
      expect(await ground.kept()).toEqual(before);
    });

    test('says that it has no bytes under a key that was never put', async () => {
      await expect(storage.get(key)).rejects.toBeInstanceOf(NoBytesError);
    });

    test('deletes what was put, and minds nothing that is not there', async () => {
      const before = await ground.kept();
      await put(randomBytes(9 * MB));
      expect(await ground.kept()).not.toEqual(before);
      await storage.delete(key);
      await storage.delete(key);
      await expect(storage.get(key)).rejects.toBeInstanceOf(NoBytesError);
      expect(await ground.kept()).toEqual(before);
    });

    test('takes many at once and mixes none', async () => {
      const all = Array.from({ length: 20 }, (_, i) => ({ key: mintStorageKey(), data: Buffer.alloc(200_000 + i, i) }));
      await Promise.all(all.map(({ key: of, data }) => storage.put(of, inChunks(data, 9_999))));
      for (const { key: of, data } of all) expect(await buffer(await storage.get(of))).toEqual(data);
    });

    test.each([
      '',
      '..',
      '../../etc/passwd',
      'a/b',
      `${'a'.repeat(39)}/`,
      'A'.repeat(40),
      `${'a'.repeat(40)}\0`,
      '.'.repeat(40),
    ])('refuses %j, which is no key', async (wrong) => {
      const before = await ground.kept();
      await expect(storage.put(wrong, inChunks(randomBytes(1), 1))).rejects.toThrow(/not a storage key/);
      await expect(storage.get(wrong)).rejects.toThrow(/not a storage key/);
      await expect(storage.delete(wrong)).rejects.toThrow(/not a storage key/);
      expect(await ground.kept()).toEqual(before);
    });
  });
}

export async function* inChunks(data: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < data.byteLength; from += size) yield data.subarray(from, from + size);
}
