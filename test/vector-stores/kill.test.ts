import { readdirSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  AddVectorStoreFilesDocument,
  CreateVectorStoreDocument,
  FollowVectorStoreDocument,
  SearchVectorStoreDocument,
  VectorStoreDocument,
} from '../../src/generated/graphql/graphql.ts';
import { TEST_DATABASE_URL, testDatabase, type TestDatabase } from '../database.ts';
import { type ServerProcess, startServerProcess } from '../engine/server-process.ts';
import { eventually } from '../eventually.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { expectCountsRight } from './counts.ts';

if (!TEST_DATABASE_URL) console.warn('stores that two processes read into are NOT tested (needs TEST_DATABASE_URL)');

const FILES = 200;
/** One of them is large, and stored in steps. */
const LARGE = 100;
const text = (i: number): string => `# Report ${i}\n\nThe secret of report ${i} is codeword${i}x.\n\n${'Plain words. '.repeat(i % 40)}\n${i === LARGE ? `\n${'Many more plain words of this one. '.repeat(20)}\n`.repeat(400) : ''}`;
const nameOf = (i: number): string => `confidential-${i}.md`;

let database: TestDatabase;
let temporary: string;
let servers: ServerProcess[] = [];
beforeAll(async () => {
  database = await testDatabase();
  temporary = await mkdtemp(join(tmpdir(), 'skein-kill-'));
});
afterEach(async () => {
  for (const server of servers) await server.kill();
  servers = [];
});
afterAll(async () => {
  await rm(temporary, { recursive: true, force: true });
  await database?.dispose();
});

async function start(environment: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await startServerProcess(database, { LOG_LEVEL: 'trace', TMPDIR: temporary, ...environment });
  servers.push(server);
  return server;
}

/** Uploads that need nothing but a link. */
async function upload(server: ServerProcess, i: number): Promise<string> {
  const form = new FormData();
  const query = 'mutation ($file: Upload!) { uploadFile(input: { file: $file }) { file { id } } }';
  form.set('operations', JSON.stringify({ query, variables: { file: null } }));
  form.set('map', JSON.stringify({ 0: ['variables.file'] }));
  form.set('0', new File([text(i)], nameOf(i)));
  const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { authorization: `Bearer ${server.key}` }, body: form });
  const { data } = (await response.json()) as { data: { uploadFile: { file: { id: string } } } };
  return data.uploadFile.file.id;
}

const completed = async (server: ServerProcess, id: string) =>
  (await server.query(VectorStoreDocument, { id, first: 1 })).vectorStore!.fileCounts.completed;

/** Follows the store until so many of its files are done. */
async function until(server: ServerProcess, id: string, least: number): Promise<void> {
  for await (const { vectorStoreEvents } of server.follow(FollowVectorStoreDocument, { id }))
    if (vectorStoreEvents.vectorStore.fileCounts.completed >= least) break;
}

async function newStore(server: ServerProcess): Promise<string> {
  const fileIds: string[] = [];
  for (let i = 0; i < FILES; i += 10)
    fileIds.push(...(await Promise.all(Array.from({ length: 10 }, (_, n) => upload(server, i + n)))));
  const { createVectorStore } = await server.query(CreateVectorStoreDocument, { input: {} });
  const { id } = createVectorStore.vectorStore!;
  const files = fileIds.map((fileId) => ({ fileId }));
  await server.query(AddVectorStoreFilesDocument, { input: { vectorStoreId: id, files } });
  return id;
}

async function expectAllDoneOnce(server: ServerProcess, id: string): Promise<void> {
  const { vectorStore } = await server.query(VectorStoreDocument, { id, first: 1 });
  expect(vectorStore).toMatchObject({
    status: 'COMPLETED',
    fileCounts: { inProgress: 0, completed: FILES, failed: 0, cancelled: 0, total: FILES },
  });
  // The embedded database has one socket for all of its callers; it does not mind one more.
  const rows: Rows = await openRows({ database } as Parameters<typeof openRows>[0]);
  try {
    await expectCountsRight(rows, id);
    expect(await rows.query('select count(*)::int as count from vector_store_file where vector_store_id = $1 and owner is not null', [id])).toEqual([{ count: 0 }]);
  } finally {
    await rows.close();
  }
  for (const i of [0, 77, LARGE, FILES - 1]) {
    const query = i === LARGE ? 'many more of this one' : `codeword${i}x`;
    const found = await server.query(SearchVectorStoreDocument, { id, query, first: 1 });
    expect(found.vectorStore!.search).toMatchObject([{ filename: nameOf(i), score: expect.any(Number) }]);
  }
}

/** Copies of files that are being read. */
const copies = (): string[] => readdirSync(temporary).filter((name) => name.startsWith('skein-extract-'));

test('a process that is killed twice while it reads 200 files in has read each of them once in the end', { timeout: 120_000 }, async () => {
  const first = await start();
  const id = await newStore(first);
  await until(first, id, 20);
  await first.kill();
  // As if it had been killed at the worst moment.
  await cp(import.meta.filename, join(temporary, `skein-extract-${first.pid}-worst`, 'file'));
  const left = copies();
  const second = await start();
  const after = await completed(second, id);
  expect(after).toBeGreaterThanOrEqual(20);
  expect(after).toBeLessThan(FILES);
  await until(second, id, after + 30);
  await second.kill();
  const third = await start();
  expect(await completed(third, id)).toBeLessThan(FILES);
  await until(third, id, FILES);
  await expectAllDoneOnce(third, id);

  // What the killed ones had in the temporary folder is gone, and nobody's words are in the log.
  await eventually(() => expect(copies().filter((name) => left.includes(name))).toEqual([]));
  for (const server of [first, second, third]) {
    expect(server.output()).toMatch(/a file was read into its vector store/);
    expect(server.output()).not.toMatch(/codeword|confidential|Plain words/);
  }
});

describe.skipIf(!TEST_DATABASE_URL)('two processes on one database (needs TEST_DATABASE_URL)', () => {
  test('share the files of a store, and one reads on when the other is killed', { timeout: 120_000 }, async () => {
    const [a, b] = [await start(), await start()];
    const id = await newStore(a);
    await until(b, id, 20);
    await a.kill();
    await until(b, id, FILES);
    await expectAllDoneOnce(b, id);
    for (const server of [a, b]) expect(server.output()).toMatch(/a file was read into its vector store/);
  });

  test('one that only answers callers leaves the reading to one that only works, and hears how far it is', async () => {
    const [api, worker] = [await start({ ROLE: 'api' }), await start({ ROLE: 'worker' })];
    const fileIds = await Promise.all([1, 2, 3].map((i) => upload(api, i)));
    const { createVectorStore } = await api.query(CreateVectorStoreDocument, { input: { fileIds } });
    await until(api, createVectorStore.vectorStore!.id, fileIds.length);
    expect(api.output()).not.toMatch(/was read into/);
    expect(worker.output()).toMatch(/was read into/);
  });
});
