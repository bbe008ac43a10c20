import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { CreateUploadDocument, FileWithLinkDocument } from '../../src/generated/graphql/graphql.ts';
import { print } from 'graphql';
import { testDatabase, type TestDatabase } from '../database.ts';
import { type SkeinProcess, startProcess } from '../server/skein-process.ts';
import { S3_REGION, startS3Server } from './s3-server.ts';
import { put } from './stage.ts';

const MB = 1024 * 1024;
const FILE_MB = 256;
/** How much more memory the server may take at its peak than before, in megabytes: far less than the file. */
const GROWTH_MB = 128;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing.length = 0;
});

async function start(environment: Record<string, string>): Promise<{ server: SkeinProcess; ask: Ask }> {
  const database: TestDatabase = await testDatabase();
  closing.push(() => database.dispose());
  const key = 'sk-test-key-of-the-memory-test';
  const server = await startProcess(database, { SKEIN_BOOTSTRAP_KEY: key, ...environment });
  closing.push(async () => {
    server.kill();
    await server.ended;
  });
  const ask: Ask = async (document, variables) => {
    const response = await fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query: print(document as never), variables }),
    });
    return ((await response.json()) as { data: Record<string, Record<string, string>> }).data;
  };
  return { server, ask };
}

type Ask = (document: unknown, variables: object) => Promise<Record<string, Record<string, string>>>;

/** Peak of resident memory in megabytes since the last call. */
function peakOf({ pid }: SkeinProcess): number {
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // what Linux takes as: forget the peak
  return peak;
}

/** Megabytes that all begin alike and are all different, without any of them being kept. */
async function* megabytes(hash: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < FILE_MB; i++) {
    const chunk = Buffer.alloc(MB);
    chunk.writeUInt32LE(i + 1);
    hash.update(chunk);
    yield chunk;
  }
}

function hashOf(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      const hash = createHash('sha256');
      response.on('data', (chunk: Buffer) => hash.update(chunk)).on('error', reject);
      response.on('end', () => resolve(hash.digest('hex')));
    }).on('error', reject);
  });
}

const LINUX = process.platform === 'linux';
if (!LINUX) console.warn('the memory that an upload takes is NOT measured (needs Linux: /proc)');

test.skipIf(!LINUX).each(['disk', 's3'] as const)(
  `a file of ${FILE_MB} MB passes a server with the storage on %s without being in its memory`,
  async (storage) => {
    const s3 = storage === 's3' ? await startS3Server() : null;
    if (s3) closing.push(() => s3.close());
    const { server, ask } = await start(
      s3
        ? {
            STORAGE: 's3',
            S3_BUCKET: s3.bucket,
            S3_ENDPOINT: s3.url,
            S3_REGION,
            S3_ACCESS_KEY_ID: s3.credentials.accessKeyId,
            S3_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
          }
        : {},
    );
    const upload = async (): Promise<string> =>
      (await ask(CreateUploadDocument, { input: { filename: 'large.bin' } })).createUpload!.uploadUrl!;
    // Whatever a first upload loads, and what the start has left to be collected, is no part of the measurement.
    expect((await put(await upload(), megabytes(createHash('sha256')))).status).toBe(201);
    peakOf(server);
    const before = peakOf(server);

    const hash = createHash('sha256');
    const sent = performance.now();
    const made = await put(await upload(), megabytes(hash));
    const putMs = performance.now() - sent;
    const putPeak = peakOf(server);
    const sha256 = hash.digest('hex');
    expect(made.json).toMatchObject({ bytes: FILE_MB * MB, sha256 });

    const { url } = (await ask(FileWithLinkDocument, { id: made.json.id })).file!;
    const got = performance.now();
    expect(await hashOf(url!)).toBe(sha256);
    const getMs = performance.now() - got;
    const getPeak = peakOf(server);

    const rate = (ms: number) => `${Math.round((FILE_MB / ms) * 1000)} MB/s`;
    const words = (peak: number) => `peak ${Math.round(peak)} MB (+${Math.round(peak - before)})`;
    console.log(
      `${storage}: ${Math.round(before)} MB before; PUT of ${FILE_MB} MB: ${words(putPeak)}, ${rate(putMs)}; GET: ${words(getPeak)}, ${rate(getMs)}`,
    );
    expect(putPeak - before).toBeLessThan(GROWTH_MB);
    expect(getPeak - before).toBeLessThan(GROWTH_MB);
  },
  180_000,
);
