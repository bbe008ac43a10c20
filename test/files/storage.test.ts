import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDiskStorage } from '../../src/files/disk-storage.ts';
import { createS3Storage, type S3StorageOptions } from '../../src/files/s3-storage.ts';
import { mintStorageKey, type Storage } from '../../src/files/storage.ts';
import { silent } from '../database.ts';
import { waitFor } from '../server/wait-for.ts';
import { S3_REGION, type S3Server, startS3Server } from './s3-server.ts';
import { describeStorage, inChunks } from './storage-contract.ts';

const MB = 1024 * 1024;

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

const optionsFor = (server: S3Server): S3StorageOptions => ({
  bucket: server.bucket,
  region: S3_REGION,
  endpoint: server.url,
  credentials: server.credentials,
  forcePathStyle: true,
  logger: silent,
});

describeStorage('a disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-test-'));
  const storage = await createDiskStorage({ folder: join(folder, 'files') });
  return {
    storage,
    // From one folder above: nothing may be written beside it either.
    kept: () => filesBelow(folder),
    async close() {
      await storage.close();
      await rm(folder, { recursive: true });
    },
  };
});

describeStorage('an S3-compatible server', async () => {
  const server = await startS3Server();
  const storage = await createS3Storage(optionsFor(server));
  return {
    storage,
    kept: async () => [...server.objects.keys(), ...[...server.unfinished.values()].map(({ key }) => key)].sort(),
    async close() {
      await storage.close();
      await server.close();
    },
  };
});

describe('a disk', () => {
  let folder: string;
  let storage: Storage;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'skein-test-'));
    storage = await createDiskStorage({ folder });
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('shows nothing under the name of a file until it is whole', async () => {
    const key = mintStorageKey();
    const seen: string[][] = [];
    const stream = async function* () {
      yield randomBytes(100_000);
      seen.push(await filesBelow(folder));
      yield randomBytes(100_000);
    };
    await storage.put(key, stream());
    const path = join(key.slice(0, 2), key.slice(2, 4), key);
    expect(seen).toEqual([[`${path}.part`]]);
    expect(await filesBelow(folder)).toEqual([path]);
    expect((await stat(join(folder, path))).mode & 0o777).toBe(0o600);
  });

  test('removes what a killed process has left of a file', async () => {
    const key = mintStorageKey();
    await storage.put(key, inChunks(randomBytes(10), 10));
    const path = join(folder, key.slice(0, 2), key.slice(2, 4), key);
    await writeFile(`${path}.part`, 'half');
    await storage.delete(key);
    expect([path, `${path}.part`].map((left) => existsSync(left))).toEqual([false, false]);
  });
});

describe('an S3-compatible server', () => {
  let server: S3Server;
  let storage: Storage;
  beforeAll(async () => {
    server = await startS3Server();
    storage = await createS3Storage(optionsFor(server));
  });
  afterAll(async () => {
    await storage.close();
    await server.close();
  });

  test('gets large files in parts, and small ones in one request', async () => {
    server.served.length = 0;
    await storage.put(mintStorageKey(), inChunks(Buffer.alloc(17 * 1024 * 1024), 1_000_000));
    await storage.put(mintStorageKey(), inChunks(Buffer.alloc(17), 17));
    const parts = ['UploadPart', 'UploadPart', 'UploadPart'];
    expect(server.served).toEqual(['CreateMultipartUpload', ...parts, 'CompleteMultipartUpload', 'PutObject']);
  });

  test('that is slow is sent no more than two parts ahead', async () => {
    const release = server.hold('UploadPart');
    let taken = 0;
    const stream = async function* () {
      while (taken < 60) {
        taken += 1;
        yield Buffer.alloc(MB);
      }
    };
    const stored = storage.put(mintStorageKey(), stream());
    await waitFor('the second part to be full', () => taken >= 16);
    await storage.get(mintStorageKey()).catch(() => {}); // a round trip: time enough to take more
    expect(taken).toBeLessThanOrEqual(16);
    release();
    expect((await stored).bytes).toBe(60 * MB);
  });

  test('may fail for a moment', async () => {
    const key = mintStorageKey();
    for (const operation of ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload', 'GetObject'])
      server.breakDown(operation, 1);
    const data = randomBytes(9 * 1024 * 1024);
    await storage.put(key, inChunks(data, 1_000_000));
    expect(await buffer(await storage.get(key))).toEqual(data);
  });

  test('that fails for good leaves no parts behind', async () => {
    server.breakDown('UploadPart', 100);
    await expect(storage.put(mintStorageKey(), inChunks(Buffer.alloc(9_000_000), 1_000_000))).rejects.toThrow();
    server.breakDown('UploadPart', 0);
    expect(server.unfinished.size).toBe(0);
  });

  test('loses the parts of a process that died when its key is deleted', async () => {
    const key = mintStorageKey();
    server.breakDown('AbortMultipartUpload', 100);
    server.breakDown('CompleteMultipartUpload', 100);
    await expect(storage.put(key, inChunks(Buffer.alloc(9_000_000), 1_000_000))).rejects.toThrow();
    expect(server.unfinished.size).toBe(1);
    server.breakDown('AbortMultipartUpload', 0);
    server.breakDown('CompleteMultipartUpload', 0);
    await storage.delete(key);
    expect(server.unfinished.size).toBe(0);
  });

  test('is refused at the start where it cannot be used, and says why', async () => {
    const other = (more: Partial<S3StorageOptions>) => createS3Storage({ ...optionsFor(server), ...more });
    await expect(other({ bucket: 'nobodys' })).rejects.toThrow(/The bucket nobodys at http.*There is no such bucket/);
    await expect(other({ endpoint: 'http://127.0.0.1:1' })).rejects.toThrow(/cannot be used.*127\.0\.0\.1:1/);
  });

  test('gets nothing that is not signed by the key', async () => {
    const wrong = await createS3Storage({
      ...optionsFor(server),
      credentials: { ...server.credentials, secretAccessKey: 'another' },
    });
    const before = server.objects.size;
    await expect(wrong.put(mintStorageKey(), inChunks(randomBytes(10), 10))).rejects.toThrow(/signature is wrong/);
    expect(server.objects.size).toBe(before);
    await wrong.close();
    expect((await fetch(`${server.url}/${server.bucket}/x`)).status).toBe(403);
  });
});
