import { randomBytes } from 'node:crypto';
import { print } from 'graphql';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CreateUploadDocument } from '../../src/generated/graphql/graphql.ts';
import { idAt } from '../../src/ids.ts';
import { testDatabase, type TestDatabase } from '../database.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { type SkeinProcess, startProcess } from '../server/skein-process.ts';
import { waitFor } from '../server/wait-for.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { http, newFile, newUpload, onDisk, put } from './stage.ts';

let skein: TestSkein;
let rows: Rows;
const closing: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  skein = await startSkein({ CHORES_EVERY_SECONDS: '1', RETAIN_FILES_DAYS: '3' });
  rows = await openRows(skein);
});
afterAll(async () => {
  await rows.close();
  await skein.close();
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Where the bytes of a file are. */
const keyOf = async (id: string): Promise<string> =>
  (await rows.query<{ key: string }>('select storage_key as key from file where id = $1', [id]))[0]!.key;
const ids = async () => (await rows.query<{ id: string }>('select id from file')).map(({ id }) => id);
/** Until no bytes of these are on the disk, and nothing says any more that they are to be removed. */
async function goneFromDisk(keys: string[]): Promise<void> {
  await waitFor('the bytes to go', async () => !(await onDisk(skein)).some((name) => keys.includes(name)));
  await waitFor(
    'their traces to go',
    async () => (await rows.query('select 1 from loose_bytes where storage_key = any($1)', [keys])).length === 0,
  );
}

test('files that are past their time lose their rows and their bytes; others stay', async () => {
  const files = await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      newFile(skein, `file ${i}`, 'a.txt', i < 3 ? { expiresAfterSeconds: 3600 } : {}),
    ),
  );
  const keys: string[] = [];
  for (const { id } of files) keys.push(await keyOf(id));
  const expired = files.slice(0, 2).map(({ id }) => id);
  await rows.query('update file set expires_at = now() where id = any($1)', [expired]);
  await goneFromDisk(keys.slice(0, 2));
  expect((await ids()).filter((id) => expired.includes(id))).toEqual([]);
  expect(await onDisk(skein)).toEqual(expect.arrayContaining(keys.slice(2)));
  for (const { url } of files.slice(2)) expect((await http(url)).status).toBe(200);
});

test('bytes that were not removed at once are removed later', async () => {
  const file = await newFile(skein, 'x');
  const key = await keyOf(file.id);
  // As a process leaves it that dies between the deletion of the row and that of the bytes.
  await rows.query(
    `insert into loose_bytes select storage_key, project_id, now() + interval '1 hour' from file where id = $1`,
    [file.id],
  );
  await rows.query('delete from file where id = $1', [file.id]);
  expect(await onDisk(skein)).toContain(key);
  await rows.query('update loose_bytes set remove_at = now() where storage_key = $1', [key]);
  await goneFromDisk([key]);
});

test('uploads are forgotten after two days, and no earlier', async () => {
  const [old, young] = [await newUpload(skein), await newUpload(skein)];
  const idOf = (url: string) => /uploads\/(\w+)/.exec(url)![1]!;
  const age = (url: string, hours: number) =>
    rows.query(`update upload set created_at = now() - $2 * interval '1 hour' where id = $1`, [idOf(url), hours]);
  await age(young, 47.9);
  await age(old, 48.1);
  expect((await put(old, Buffer.from('x'))).status).toBe(404);
  const isThere = (url: string) => rows.query('select id from upload where id = $1', [idOf(url)]);
  await waitFor('the old one to go', async () => (await isThere(old)).length === 0);
  expect(await isThere(young)).toHaveLength(1);
  expect((await put(young, Buffer.from('x'))).status).toBe(201);
});

test('RETAIN_FILES_DAYS deletes files by their age', async () => {
  const [old, young] = [await newFile(skein, 'old'), await newFile(skein, 'young')];
  const key = await keyOf(old.id);
  const aged = idAt('File', new Date(Date.now() - 4 * 86_400_000));
  await rows.query('update file set id = $2 where id = $1', [old.id, aged]);
  await goneFromDisk([key]);
  expect(await ids()).not.toContain(aged);
  expect(await ids()).toContain(young.id);
  expect((await http(young.url)).status).toBe(200);
});

test('what a killed server has left of an upload is found and removed', async () => {
  const database: TestDatabase = await testDatabase();
  closing.push(() => database.dispose());
  const key = 'sk-test-key-of-the-purge-test';
  const environment = { SKEIN_BOOTSTRAP_KEY: key, CHORES_EVERY_SECONDS: '1' };
  const first: SkeinProcess = await startProcess(database, environment);
  const asTest = (server: SkeinProcess) => ({ url: server.url, key, database }) as TestSkein;
  const response = await fetch(`${first.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: print(CreateUploadDocument), variables: { input: { filename: 'a' } } }),
  });
  const { data } = (await response.json()) as { data: { createUpload: { uploadUrl: string } } };
  const endless = async function* () {
    for (let i = 0; i < 100_000; i++) yield randomBytes(10_000);
  };
  const sent = put(data.createUpload.uploadUrl, endless()).catch((error: Error) => error);
  await waitFor('bytes on the disk', async () => (await onDisk(asTest(first))).length === 1);
  first.kill('SIGKILL');
  await first.ended;
  expect(await sent).toBeInstanceOf(Error);
  expect(await onDisk(asTest(first))).toEqual([expect.stringMatching(/\.part$/)]);

  const second = await startProcess(database, environment);
  const found = await openRows(asTest(second));
  // Before its time it may be an upload that another process is receiving.
  expect(await found.query('select 1 from loose_bytes where remove_at > now()')).toHaveLength(1);
  await found.query('update loose_bytes set remove_at = now()');
  await waitFor('the rest to go', async () => (await onDisk(asTest(second))).length === 0);
  await waitFor('the row to go', async () => (await found.query('select 1 from loose_bytes')).length === 0);
  expect(await found.query('select 1 from file')).toEqual([]);
  const again = await put(data.createUpload.uploadUrl.replace(first.url, second.url), Buffer.from('again'));
  expect(again.status).toBe(201);
  await found.close();
  second.kill();
  await second.ended;
}, 60_000);
