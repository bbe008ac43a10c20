import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createShelf, type Shelf } from './shelf.ts';

let app: TestSkein;
let shelf: Shelf;
let rows: Rows;
let fileId: string;
let storeId: string;
let storeFileId: string;
beforeAll(async () => {
  app = await startSkein();
  shelf = createShelf(app);
  rows = await openRows(app);
  storeId = await shelf.storeOf({ 'a.md': 'Words.' });
  ({ id: storeFileId, fileId } = (await shelf.state(storeId)).files.nodes[0]!);
});
afterAll(async () => {
  await rows?.close();
  await app?.close();
});

interface Refusal {
  code: string;
  message: string;
  path: string[] | null;
}

async function refusals(field: string, input: object): Promise<Refusal[]> {
  const type = `${field[0]!.toUpperCase()}${field.slice(1)}Input`;
  const { data, errors } = await app.raw(
    `mutation ($input: ${type}!) { ${field}(input: $input) { userErrors { code message path } } }`,
    { input },
  );
  expect(errors).toBeUndefined();
  return (data![field] as { userErrors: Refusal[] }).userErrors;
}

const nobodys = 'file_01m8g07wt43xcv3aa1k2abtdkh';
const add = (file: object, ...more: object[]) => () => ({ vectorStoreId: storeId, files: [{ fileId, ...file }, ...more] });
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, i]));

describe('is refused with its place and its reason:', () => {
  test.each<[what: string, field: string, input: () => object, path: string, words: RegExp]>([
    ['a name that is too long', 'createVectorStore', () => ({ name: 'x'.repeat(257) }), 'input.name', /256/],
    ['an expiry of no days', 'createVectorStore', () => ({ expiresAfterDays: 0 }), 'input.expiresAfterDays', /1 to 365/],
    ['an expiry of too many days', 'createVectorStore', () => ({ expiresAfterDays: 366 }), 'input.expiresAfterDays', /1 to 365/],
    ['a file twice', 'createVectorStore', () => ({ fileIds: [fileId, fileId] }), 'input.fileIds.1', /given twice/],
    ['too many files', 'createVectorStore', () => ({ fileIds: Array.from({ length: 501 }, (_, i) => `file_${i}`) }), 'input.fileIds', /500.*addVectorStoreFiles/],
    ['a file that is nobody’s', 'createVectorStore', () => ({ fileIds: [fileId, nobodys] }), 'input.fileIds.1', /No file found/],
    ['a passage that is too small', 'createVectorStore', () => ({ chunkingStrategy: { maxChunkSizeTokens: 99 } }), 'input.chunkingStrategy.maxChunkSizeTokens', /100 to 4096/],
    ['a passage that is too large', 'createVectorStore', () => ({ chunkingStrategy: { maxChunkSizeTokens: 4097 } }), 'input.chunkingStrategy.maxChunkSizeTokens', /100 to 4096/],
    ['an overlap of more than half', 'createVectorStore', () => ({ chunkingStrategy: { maxChunkSizeTokens: 101, chunkOverlapTokens: 51 } }), 'input.chunkingStrategy.chunkOverlapTokens', /0 to 50/],
    ['an overlap below nothing', 'createVectorStore', () => ({ chunkingStrategy: { chunkOverlapTokens: -1 } }), 'input.chunkingStrategy.chunkOverlapTokens', /0 to 400/],
    ['too much metadata', 'createVectorStore', () => ({ metadata: Object.fromEntries(Object.keys(pairs(17)).map((key) => [key, 'x'])) }), 'input.metadata', /16/],
    ['a batch of nothing', 'addVectorStoreFiles', () => ({ vectorStoreId: storeId, files: [] }), 'input.files', /At least one/],
    ['a batch that is too large', 'addVectorStoreFiles', () => ({ vectorStoreId: storeId, files: Array.from({ length: 2001 }, (_, i) => ({ fileId: `file_${i}` })) }), 'input.files', /2000/],
    ['a file of a batch twice', 'addVectorStoreFiles', add({}, { fileId: nobodys }, { fileId: nobodys }), 'input.files.2.fileId', /given twice/],
    ['a file of a batch that is nobody’s', 'addVectorStoreFiles', add({}, { fileId: nobodys }), 'input.files.1.fileId', /No file found/],
    ['too many attributes', 'addVectorStoreFiles', add({ attributes: pairs(17) }), 'input.files.0.attributes', /17 attributes; at most 16/],
    ['attributes that are a list', 'addVectorStoreFiles', add({ attributes: [1] }), 'input.files.0.attributes', /an object/],
    ['an attribute that is an object', 'addVectorStoreFiles', add({ attributes: { a: {} } }), 'input.files.0.attributes', /text, a number or a boolean.*'a'/],
    ['an attribute that is null', 'addVectorStoreFiles', add({ attributes: { a: null } }), 'input.files.0.attributes', /text, a number or a boolean/],
    ['an attribute without a name', 'addVectorStoreFiles', add({ attributes: { '': 1 } }), 'input.files.0.attributes', /attribute key/],
    ['a text that is too long', 'addVectorStoreFiles', add({ attributes: { a: 'x'.repeat(513) } }), 'input.files.0.attributes', /512/],
    ['a null character', 'addVectorStoreFiles', add({ attributes: { a: '\0' } }), 'input.files.0.attributes', /'a'/],
    ['a store that is nobody’s', 'addVectorStoreFiles', () => ({ vectorStoreId: storeId.replace(/.{4}$/, '0000'), files: [{ fileId }] }), 'input.vectorStoreId', /No vector store found/],
    ['an id of something else', 'deleteVectorStore', () => ({ vectorStoreId: fileId }), 'input.vectorStoreId', /No vector store found/],
    ['attributes that are a text', 'updateVectorStoreFile', () => ({ vectorStoreFileId: storeFileId, attributes: 'x' }), 'input.attributes', /an object/],
    ['a file in place of its place in a store', 'removeVectorStoreFile', () => ({ vectorStoreFileId: fileId }), 'input.vectorStoreFileId', /No vector store file found/],
    ['a store in place of a batch', 'cancelVectorStoreFileBatch', () => ({ vectorStoreFileBatchId: storeId }), 'input.vectorStoreFileBatchId', /No vector store file batch found/],
  ])('%s', async (_, field, input, path, words) => {
    const before = await rows.dump();
    const [first, ...more] = await refusals(field, input());
    expect([first!.path?.join('.'), first!.message, more]).toEqual([path, expect.stringMatching(words), []]);
    expect(await rows.dump()).toBe(before);
  });
});

test('a store holds ten thousand files and no more', async () => {
  const full = await shelf.store();
  const [{ projectId }] = (await rows.query('select project_id as "projectId" from vector_store where id = $1', [full])) as [{ projectId: string }];
  await rows.query(
    `with made as (
  insert into file (id, project_id, filename, bytes, content_type, sha256, purpose, created_at, storage_key)
  select 'file_' || lpad(n::text, 26, '0'), $2, 'x', 1, 'text/plain', 'x', 'ASSISTANTS', now(), md5(n::text) from generate_series(1, 9999) n
  returning id
) insert into vector_store_file (id, project_id, vector_store_id, file_id, filename, status, attributes, chunking, created_at)
select 'vsf_' || substr(id, 6), $2, $1, id, 'x', 'FAILED', '{}', '{"maxChunkSizeTokens": 800, "chunkOverlapTokens": 400}', now() from made`,
    [full, projectId],
  );
  const another = await shelf.upload('b.md', 'More words.');
  const both = await refusals('addVectorStoreFiles', { vectorStoreId: full, files: [{ fileId }, { fileId: another }] });
  expect(both).toMatchObject([{ code: 'QUOTA_EXCEEDED', message: expect.stringMatching(/10000 files.*10001/) }]);
  expect(await refusals('addVectorStoreFiles', { vectorStoreId: full, files: [{ fileId }] })).toEqual([]);
  expect((await shelf.settled(full)).fileCounts).toMatchObject({ completed: 1, failed: 9999, total: 10_000 });
});
