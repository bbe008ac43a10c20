import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { graphql } from '../../src/generated/tests/gql.ts';
import {
  CancelVectorStoreFileBatchDocument,
  DeleteFileDocument,
  DeleteVectorStoreDocument,
  FollowVectorStoreDocument,
  RemoveVectorStoreFileDocument,
  UpdateVectorStoreDocument,
  UpdateVectorStoreFileDocument,
  VectorStoreDocument,
  VectorStoresDocument,
} from '../../src/generated/graphql/graphql.ts';
import { eventually } from '../eventually.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { answerWith, type EmbeddingServer, openEmbeddingServer } from '../llm/embedding-server.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { expectCountsRight } from './counts.ts';
import { createShelf, type Shelf } from './shelf.ts';

const Batch = graphql(`
  query Batch($id: ID!, $status: VectorStoreFileStatus) {
    node(id: $id) {
      __typename
      ... on VectorStoreFileBatch {
        status
        vectorStore {
          id
        }
        fileCounts {
          inProgress
          completed
          failed
          cancelled
          total
        }
        files(status: $status) {
          nodes {
            fileId
            status
          }
        }
      }
    }
  }
`);

let model: EmbeddingServer;
let app: TestSkein;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  model = await openEmbeddingServer();
  app = await startSkein({ OPENAI_BASE_URL: model.url, EMBEDDING_MODEL: 'embed' });
  shelf = createShelf(app);
  rows = await openRows(app);
});
afterEach(() => {
  model.release();
  expect(model.scenes).toEqual([]);
});
afterAll(async () => {
  await rows?.close();
  await app?.close();
  await model?.close();
});

const text = (word: string): string => `# About ${word}\n\nThis tells of the ${word}.\n`;
const uploads = (...words: string[]): Promise<string[]> =>
  Promise.all(words.map((word) => shelf.upload(`${word}.md`, text(word))));
const named = (fileIds: readonly string[], more = {}) => fileIds.map((fileId) => ({ fileId, ...more }));
const counts = (more: object) => ({ inProgress: 0, completed: 0, failed: 0, cancelled: 0, total: 0, ...more });
const batchOf = async (id: string, status?: 'COMPLETED' | 'CANCELLED') => {
  const { node } = await app.query(Batch, { id, status });
  if (node?.__typename !== 'VectorStoreFileBatch') throw new Error(`no batch ${id}`);
  return node;
};
const cancel = async (vectorStoreFileBatchId: string) =>
  (await app.query(CancelVectorStoreFileBatchDocument, { input: { vectorStoreFileBatchId } })).cancelVectorStoreFileBatch;
const remove = async (vectorStoreFileId: string) =>
  (await app.query(RemoveVectorStoreFileDocument, { input: { vectorStoreFileId } })).removeVectorStoreFile;
const deleteFile = async (fileId: string) => {
  const { deleteFile: payload } = await app.query(DeleteFileDocument, { input: { fileId } });
  expect(payload.userErrors).toEqual([]);
};
/** Waits until a store looks like this, by its events. */
async function until(id: string, looks: (counts: { inProgress: number; total: number; failed: number }) => boolean) {
  for await (const { vectorStoreEvents } of app.follow(FollowVectorStoreDocument, { id }))
    if (looks(vectorStoreEvents.vectorStore.fileCounts)) break;
}

describe('a vector store', () => {
  test('says how far its files are while they are read in, and why one cannot be', async () => {
    const held = model.hold();
    const fileIds = [await shelf.upload('broken.pdf', '%PDF-1.7\nnothing'), ...(await uploads('llama', 'goat'))];
    const id = await shelf.store({ name: 'zoo', fileIds, metadata: { a: 'b' } }, false);
    await held;
    await until(id, ({ failed }) => failed === 1);
    expect(await shelf.state(id)).toMatchObject({
      name: 'zoo',
      metadata: { a: 'b' },
      status: 'IN_PROGRESS',
      fileCounts: counts({ inProgress: 2, failed: 1, total: 3 }),
      embeddingModel: null,
      usageBytes: 0,
      expiresAt: null,
    });
    model.release();
    const state = await shelf.settled(id);
    expect(state).toMatchObject({
      status: 'COMPLETED',
      fileCounts: counts({ completed: 2, failed: 1, total: 3 }),
      embeddingModel: 'embed',
    });
    // Newest first: those of one batch in the order in which they were given, turned round.
    expect(state.files.nodes.map(({ fileId, status }) => [fileId, status])).toEqual([
      [fileIds[2], 'COMPLETED'],
      [fileIds[1], 'COMPLETED'],
      [fileIds[0], 'FAILED'],
    ]);
    expect(state.files.nodes[2]).toMatchObject({
      lastError: { code: 'INVALID_FILE', message: expect.stringMatching(/damaged or incomplete.*upload it again/) },
      usageBytes: 0,
    });
    const own = state.files.nodes.map(({ usageBytes }) => Number(usageBytes));
    expect(Number(state.usageBytes)).toBe(own.reduce((sum, bytes) => sum + bytes, 0));
    await expectCountsRight(rows, id);

    const first = await app.query(VectorStoreDocument, { id, status: 'COMPLETED', first: 1 });
    const { nodes, pageInfo } = first.vectorStore!.files;
    expect([nodes.map(({ fileId }) => fileId), pageInfo.hasNextPage]).toEqual([[fileIds[2]], true]);
    const second = await app.query(VectorStoreDocument, { id, status: 'COMPLETED', first: 1, after: pageInfo.endCursor });
    expect(second.vectorStore!.files).toMatchObject({ nodes: [{ fileId: fileIds[1] }], pageInfo: { hasNextPage: false } });
  });

  test('of nothing is complete, and finds nothing', async () => {
    const id = await shelf.store();
    expect(await shelf.state(id)).toMatchObject({ name: null, status: 'COMPLETED', fileCounts: counts({}) });
    expect(await shelf.search(id, 'llama')).toEqual([]);
    expect(model.asked.at(-1)).not.toEqual(['llama']);
  });

  test('is changed, listed and deleted, with all that was read into it and none of its files', async () => {
    const [fileId] = await uploads('zebra');
    const id = await shelf.store({ name: 'old', metadata: { old: 'yes' }, fileIds: [fileId!] });
    const update = async (input: object) =>
      (await app.query(UpdateVectorStoreDocument, { input: { vectorStoreId: id, ...input } })).updateVectorStore.vectorStore;
    expect(await update({ name: 'new' })).toMatchObject({ name: 'new', metadata: { old: 'yes' }, expiresAfterDays: null });
    expect(await update({ name: null, metadata: { new: 'yes' }, expiresAfterDays: 3 })).toMatchObject({
      name: null,
      metadata: { new: 'yes' },
      expiresAfterDays: 3,
      expiresAt: expect.any(String),
    });
    expect(await update({ expiresAfterDays: null })).toMatchObject({ expiresAfterDays: null, expiresAt: null });
    const listed = async () => (await app.query(VectorStoresDocument, {})).vectorStores.nodes.map((store) => store.id);
    expect((await listed())[0]).toBe(id);
    const { id: inStore } = await shelf.file(id, fileId!);

    const events = app.follow(FollowVectorStoreDocument, { id });
    await events.next();
    const { deleteVectorStore } = await app.query(DeleteVectorStoreDocument, { input: { vectorStoreId: id } });
    expect(deleteVectorStore).toEqual({ deletedId: id, userErrors: [] });
    const rest: object[] = [];
    for await (const event of events) rest.push(event);
    expect(rest).toEqual([]);
    expect(await listed()).not.toContain(id);
    const { data } = await app.raw(
      `{ vectorStore(id: "${id}") { id } file(id: "${fileId}") { id } nodes(ids: ["${id}", "${inStore}"]) { id } }`,
    );
    expect(data).toEqual({ vectorStore: null, file: { id: fileId }, nodes: [null, null] });
    for (const [field, input] of [
      ['updateVectorStore', `vectorStoreId: "${id}", name: "x"`],
      ['deleteVectorStore', `vectorStoreId: "${id}"`],
      ['addVectorStoreFiles', `vectorStoreId: "${id}", files: [{ fileId: "${fileId}" }]`],
      ['updateVectorStoreFile', `vectorStoreFileId: "${inStore}", attributes: {}`],
      ['removeVectorStoreFile', `vectorStoreFileId: "${inStore}"`],
    ]) {
      const answer = await app.raw(`mutation { ${field}(input: { ${input} }) { userErrors { code } } }`);
      expect(answer.data).toEqual({ [field!]: { userErrors: [{ code: 'NOT_FOUND' }] } });
    }
  });

  test('that is deleted while files are read into it takes nothing of them', async () => {
    const held = model.hold();
    const id = await shelf.store({ fileIds: await uploads('a1', 'a2', 'a3') }, false);
    await held;
    await app.query(DeleteVectorStoreDocument, { input: { vectorStoreId: id } });
    model.release();
    // What is added to another store now is read by the same hands, after them.
    await shelf.storeOf({ 'next.md': text('next') });
    expect(await rows.query('select 1 from chunk where vector_store_id = $1', [id])).toEqual([]);
    expect(await rows.query('select distinct status from vector_store_file where vector_store_id = $1', [id])).toEqual([
      { status: 'CANCELLED' },
    ]);
  });
});

describe('a batch', () => {
  test('brings files with attributes of their own, and says how far they are together', async () => {
    const id = await shelf.store();
    const [llama, goat] = await uploads('llama', 'goat');
    const batchId = await shelf.add(id, [
      { fileId: llama!, attributes: { kind: 'camelid', legs: 4, wild: false } },
      { fileId: goat!, chunkingStrategy: { maxChunkSizeTokens: 100 } },
    ]);
    await shelf.settled(id);
    expect(await batchOf(batchId)).toMatchObject({
      status: 'COMPLETED',
      vectorStore: { id },
      fileCounts: counts({ completed: 2, total: 2 }),
      files: { nodes: [{ fileId: goat }, { fileId: llama }] },
    });
    expect(await shelf.file(id, llama!)).toMatchObject({
      attributes: { kind: 'camelid', legs: 4, wild: false },
      chunkingStrategy: { maxChunkSizeTokens: 800, chunkOverlapTokens: 400 },
    });
    expect(await shelf.file(id, goat!)).toMatchObject({
      attributes: {},
      chunkingStrategy: { maxChunkSizeTokens: 100, chunkOverlapTokens: 50 },
    });
  });

  test('is cancelled in the middle: what is done stays, the rest is not read, and can be added again', async () => {
    const id = await shelf.store();
    const done = await uploads('quick1', 'quick2');
    const slow = await uploads('slow1', 'slow2', 'slow3', 'slow4');
    const held = model.hold(/slow/);
    const batchId = await shelf.add(id, named([...done, ...slow]));
    await held;
    await until(id, ({ inProgress }) => inProgress === 4);
    expect((await batchOf(batchId)).status).toBe('IN_PROGRESS');
    const cancelled = await cancel(batchId);
    expect(cancelled).toMatchObject({
      batch: { status: 'CANCELLED', fileCounts: counts({ completed: 2, cancelled: 4, total: 6 }) },
      userErrors: [],
    });
    model.release();
    await shelf.storeOf({ 'next.md': text('next') });
    expect(await batchOf(batchId, 'CANCELLED')).toMatchObject({
      fileCounts: counts({ completed: 2, cancelled: 4, total: 6 }),
      files: { nodes: slow.toReversed().map((fileId) => ({ fileId, status: 'CANCELLED' })) },
    });
    expect((await shelf.search(id, 'slow1')).map(({ fileId }) => fileId)).not.toContain(slow[0]);
    await expectCountsRight(rows, id);
    expect(await cancel(batchId)).toMatchObject({ batch: { status: 'CANCELLED' } });

    const again = await shelf.add(id, named([...done, ...slow]));
    expect((await shelf.settled(id)).fileCounts).toEqual(counts({ completed: 6, total: 6 }));
    expect((await batchOf(again)).fileCounts).toEqual(counts({ completed: 6, total: 6 }));
    // A file counts with the batch that it came with last.
    expect((await batchOf(batchId)).fileCounts).toEqual(counts({}));
    await expectCountsRight(rows, id);
  });

  test('that is done is not cancelled any more', async () => {
    const id = await shelf.store();
    const batchId = await shelf.add(id, named(await uploads('ready')));
    await shelf.settled(id);
    expect(await cancel(batchId)).toMatchObject({ batch: { status: 'COMPLETED' }, userErrors: [] });
    expect(await cancel(batchId.replace(/.{4}$/, '0000'))).toMatchObject({ batch: null, userErrors: [{ code: 'NOT_FOUND' }] });
  });
});

describe('a file in a store', () => {
  test('is read again when it is to be cut in another way, and not otherwise', async () => {
    const long = await shelf.upload('long.md', Array.from({ length: 60 }, (_, i) => `Sentence ${i} of many words about llamas.`).join(' '));
    const id = await shelf.store({ fileIds: [long], chunkingStrategy: { maxChunkSizeTokens: 4096, chunkOverlapTokens: 0 } });
    const passages = async () => (await rows.query('select chunks from vector_store_file where vector_store_id = $1', [id]))[0]!.chunks;
    const requests = () => model.asked.length;
    expect(await passages()).toBe(1);
    let before = requests();
    const chunkingStrategy = { maxChunkSizeTokens: 4096, chunkOverlapTokens: 0 };
    await shelf.add(id, [{ fileId: long, chunkingStrategy, attributes: { new: true } }]);
    expect(await shelf.settled(id)).toMatchObject({ files: { nodes: [{ attributes: { new: true }, status: 'COMPLETED' }] } });
    expect(requests()).toBe(before);
    before = requests();
    await shelf.add(id, [{ fileId: long, chunkingStrategy: { maxChunkSizeTokens: 100, chunkOverlapTokens: 50 } }]);
    const state = await shelf.settled(id);
    expect(state.files.nodes).toMatchObject([{ attributes: {}, chunkingStrategy: { maxChunkSizeTokens: 100, chunkOverlapTokens: 50 } }]);
    expect(requests()).toBe(before + 1);
    const overlapping = await passages();
    expect(overlapping).toBeGreaterThan(8);
    await shelf.add(id, [{ fileId: long, chunkingStrategy: { maxChunkSizeTokens: 100, chunkOverlapTokens: 0 } }]);
    await shelf.settled(id);
    expect(await passages()).toBeLessThan(overlapping);
    await expectCountsRight(rows, id);
    for (const { text: passage, location } of await shelf.search(id, 'llamas', { first: 50 })) {
      const { id: inStore } = (await shelf.state(id)).files.nodes[0]!;
      expect(await shelf.text(inStore, location!.startIndex, location!.endIndex)).toBe(passage);
    }
  });

  test('takes new attributes, which searches go by at once', async () => {
    const id = await shelf.storeOf({ 'llama.md': text('llama') });
    const { id: vectorStoreFileId } = (await shelf.state(id)).files.nodes[0]!;
    const update = async (input: object) =>
      (await app.query(UpdateVectorStoreFileDocument, { input: { vectorStoreFileId, ...input } })).updateVectorStoreFile
        .vectorStoreFile!.attributes;
    const filter = { eq: { key: 'year', value: 2024 } };
    expect(await shelf.search(id, 'llama', { filter })).toEqual([]);
    expect(await update({ attributes: { year: 2024 } })).toEqual({ year: 2024 });
    expect(await shelf.search(id, 'llama', { filter })).toMatchObject([{ attributes: { year: 2024 } }]);
    expect(await update({})).toEqual({ year: 2024 });
    expect(await update({ attributes: null })).toEqual({});
    expect(await shelf.search(id, 'llama', { filter })).toEqual([]);
  });

  test('is taken out, and put in once more', async () => {
    const id = await shelf.storeOf({ 'llama.md': text('llama'), 'goat.md': text('goat') });
    const { id: inStore, fileId } = (await shelf.state(id)).files.nodes[0]!;
    expect(await remove(inStore)).toEqual({ deletedId: inStore, userErrors: [] });
    expect((await shelf.state(id)).fileCounts).toEqual(counts({ completed: 1, total: 1 }));
    expect((await shelf.search(id, 'goat')).map((found) => found.fileId)).not.toContain(fileId);
    expect(await remove(inStore)).toMatchObject({ deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] });
    await expectCountsRight(rows, id);
    await shelf.add(id, named([fileId]));
    await shelf.settled(id);
    expect((await shelf.search(id, 'goat'))[0]).toMatchObject({ fileId });
  });

  test('that is taken out, or whose file is deleted, while it is read leaves nothing', async () => {
    const held = model.hold();
    const fileIds = await uploads('b1', 'b2');
    const id = await shelf.store({ fileIds }, false);
    await held;
    await remove((await shelf.file(id, fileIds[0]!)).id);
    await deleteFile(fileIds[1]!);
    model.release();
    await shelf.storeOf({ 'next.md': text('next') });
    expect(await shelf.state(id)).toMatchObject({ status: 'COMPLETED', fileCounts: counts({}), files: { nodes: [] } });
    await expectCountsRight(rows, id);
  });

  test('goes with its file, out of every store, and those who follow one hear of it', async () => {
    const [gone, stays] = await uploads('llama', 'goat');
    const ids = [await shelf.store({ fileIds: [gone!, stays!] }), await shelf.store({ fileIds: [gone!] })];
    const events = app.follow(FollowVectorStoreDocument, { id: ids[0]! });
    expect((await events.next()).value).toMatchObject({ vectorStoreEvents: { vectorStore: { fileCounts: { total: 2 } } } });
    await deleteFile(gone!);
    expect((await events.next()).value).toMatchObject({ vectorStoreEvents: { vectorStore: { fileCounts: { total: 1 } } } });
    await events.return!();
    expect((await shelf.state(ids[0]!)).files.nodes).toMatchObject([{ fileId: stays }]);
    expect(await shelf.state(ids[1]!)).toMatchObject({ fileCounts: counts({}), usageBytes: 0 });
    expect((await shelf.search(ids[0]!, 'llama')).map(({ fileId }) => fileId)).not.toContain(gone);
    for (const id of ids) await expectCountsRight(rows, id);
  });

  test('whose file expires before it is read says so', async () => {
    const held = model.hold();
    await shelf.store({ fileIds: await uploads('c1', 'c2') }, false);
    await held;
    const [fileId] = await uploads('late');
    const id = await shelf.store({ fileIds: [fileId!] }, false);
    await rows.query(`update file set expires_at = now() - interval '1 second' where id = $1`, [fileId]);
    model.release();
    expect((await shelf.settled(id)).files.nodes).toMatchObject([
      { status: 'FAILED', lastError: { code: 'INVALID_FILE', message: expect.stringMatching(/expired/) } },
    ]);
  });
});

test('a large file is stored in steps: nothing of it is found before all of it is, and nothing is left of one that is stopped', async () => {
  const paragraph = (i: number) => `Llama ${i} ${'and what there is to say of it '.repeat(12)}${i < 150 ? '' : 'slow'}`;
  const text = Array.from({ length: 200 }, (_, i) => paragraph(i)).join('\n\n');
  const id = await shelf.storeOf({ 'goat.md': 'Goats climb.' });
  const strategy = { chunkingStrategy: { maxChunkSizeTokens: 110, chunkOverlapTokens: 0 } };
  const fileId = await shelf.upload('large.txt', text);
  const steps = async () =>
    (await rows.query('select chunks from vector_store_file where file_id = $1', [fileId]))[0]!.chunks as number;
  const held = model.hold(/slow/);
  const batchId = await shelf.add(id, [{ fileId, ...strategy }]);
  await held;
  expect(await steps()).toBe(128);
  const [{ count }] = (await rows.query('select chunks as count from vector_store where id = $1', [id])) as [{ count: number }];
  expect(count).toBe(129);
  expect((await shelf.search(id, 'llama')).map(({ filename }) => filename)).not.toContain('large.txt');
  expect((await shelf.search(id, 'goats'))[0]!.filename).toBe('goat.md');
  await cancel(batchId);
  model.release();
  await eventually(async () => expect(await steps()).toBe(0));
  await expectCountsRight(rows, id);

  await shelf.add(id, [{ fileId, ...strategy }]);
  expect((await shelf.settled(id)).fileCounts).toEqual(counts({ completed: 2, total: 2 }));
  expect(await steps()).toBeGreaterThan(150);
  expect((await shelf.search(id, 'llama 7'))[0]!.filename).toBe('large.txt');
  await expectCountsRight(rows, id);
});

test('stores take turns: a large batch does not keep one file of another store waiting', async () => {
  const held = model.hold();
  const [large, small] = [await shelf.store(), await shelf.store()];
  await shelf.add(large, named(await uploads(...Array.from({ length: 30 }, (_, i) => `large${i}`))));
  await held;
  await shelf.add(small, named(await uploads('small1', 'small2')));
  const before = model.asked.length;
  model.release();
  await shelf.settled(large);
  await shelf.settled(small);
  const order = model.asked.slice(before).flat();
  for (const word of ['small1', 'small2']) expect(order.findIndex((asked) => asked.includes(word))).toBeLessThan(8);
  expect(order.length).toBeGreaterThanOrEqual(28);
});

describe('a model server', () => {
  const no = (status: number) => answerWith({ error: { message: 'not now' } }, status, { 'retry-after-ms': '1' });

  test('that fails for a while is asked again until it answers', async () => {
    model.scenes.push(...Array.from({ length: 8 }, () => no(503)));
    expect(await shelf.settled(await shelf.storeOf({ 'llama.md': text('llama') }))).toMatchObject({ fileCounts: counts({ completed: 1, total: 1 }) });
  });

  test('that fails for good fails the file with its words, and the others of the batch go on', async () => {
    const fileIds = await uploads('poor', 'rich');
    const answers = Array.from({ length: 25 }, () => no(503));
    model.scenes.push(...answers.slice(0, 5));
    const id = await shelf.store({}, false);
    model.scenes.push(...answers.slice(5));
    await shelf.add(id, named([fileIds[0]!]));
    expect((await shelf.settled(id)).files.nodes).toMatchObject([
      { status: 'FAILED', lastError: { code: 'SERVER_ERROR', message: expect.stringMatching(/could not be embedded.*not now/) } },
    ]);
    await shelf.add(id, named(fileIds));
    expect((await shelf.settled(id)).fileCounts).toEqual(counts({ completed: 2, total: 2 }));
  });

  test('that makes vectors of another length than before is not believed, and the store stays as it was', async () => {
    const id = await shelf.storeOf({ 'llama.md': text('llama') });
    await rows.query('update vector_store set dimensions = 3 where id = $1', [id]);
    await shelf.add(id, named(await uploads('goat')));
    const failed = `select failures from vector_store_file where vector_store_id = $1 and status = 'IN_PROGRESS' and failures > 0`;
    await eventually(async () => expect(await rows.query(failed, [id])).toEqual([{ failures: 1 }]));
    expect((await shelf.search(id, 'llama')).map(({ filename }) => filename)).toEqual(['llama.md']);
    await rows.query('update vector_store set dimensions = 4 where id = $1', [id]);
    expect((await shelf.settled(id)).fileCounts).toEqual(counts({ completed: 2, total: 2 }));
    await expectCountsRight(rows, id);
  });
});

test('changes that cross each other all come to an end, and the counts stay right', { timeout: 60_000 }, async () => {
  const id = await shelf.store();
  const fileIds = await uploads(...Array.from({ length: 12 }, (_, i) => `cross${i}`));
  const doomed = await uploads('doomed1', 'doomed2', 'doomed3');
  const all = [...fileIds, ...doomed];
  const chunking = (max: number) => ({ chunkingStrategy: { maxChunkSizeTokens: max, chunkOverlapTokens: 0 } });
  const adding = async (files: readonly string[], max: number) => {
    const answer = await app.raw(
      `mutation ($files: [VectorStoreFileInput!]!) { addVectorStoreFiles(input: { vectorStoreId: "${id}", files: $files }) { batch { id } userErrors { code } } }`,
      { files: named(files, chunking(max)) },
    );
    // A file that is deleted at that moment is not found; nothing else may go wrong.
    expect(answer.errors).toBeUndefined();
    const { batch, userErrors } = answer.data!.addVectorStoreFiles as { batch: { id: string } | null; userErrors: { code: string }[] };
    for (const { code } of userErrors) expect(code).toBe('NOT_FOUND');
    return batch?.id;
  };
  for (let round = 0; round < 4; round++) {
    const added = await Promise.all([
      adding(all, 200 + round),
      adding(all.toReversed(), 300 + round),
      adding(fileIds.slice(3), 400 + round),
      ...(round < doomed.length ? [deleteFile(doomed[round]!)] : []),
    ]);
    await Promise.all(added.map((batchId) => batchId && cancel(batchId)));
  }
  await adding(fileIds, 500);
  expect((await shelf.settled(id)).fileCounts).toEqual(counts({ completed: 12, total: 12 }));
  await expectCountsRight(rows, id);
});
