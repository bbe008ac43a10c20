import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AddVectorStoreFilesDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  DeleteVectorStoreDocument,
  SearchVectorStoreDocument,
  UpdateVectorStoreDocument,
} from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, says, type Stage } from '../engine/stage.ts';
import { eventually } from '../eventually.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { expectCountsRight } from './counts.ts';
import { createShelf, type Shelf } from './shelf.ts';

const DAY_MS = 86_400_000;

let stage: Stage;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  stage = await openStage({ CHORES_EVERY_SECONDS: '1' });
  shelf = createShelf(stage.app);
  rows = await openRows(stage.app);
});
afterAll(async () => {
  await rows?.close();
  await stage?.close();
});
beforeEach(() => {
  stage.model.requests.length = 0;
});
afterEach(() => expect(stage.scenes).toEqual([]));

/** As if nobody had used the store for so many days. */
const unused = (id: string, days: number) =>
  rows.query(
    `update vector_store set last_active_at = now() - $2 * interval '1 day',
expires_at = now() + (expires_after_days - $2) * interval '1 day' where id = $1`,
    [id, days],
  );
const search = (query: string) => ({ name: 'file_search', arguments: JSON.stringify({ query }) });
const message = (fileId: string) => ({
  content: [{ text: 'See this.' }],
  attachments: [{ fileId, tools: ['FILE_SEARCH' as const] }],
});

describe('a store that expires so many days after its last use', () => {
  async function expectUsed(id: string, days: number): Promise<void> {
    const { lastActiveAt, expiresAt, expiresAfterDays, status } = await shelf.state(id);
    expect([expiresAfterDays, status]).toEqual([days, 'COMPLETED']);
    expect(Date.now() - Date.parse(lastActiveAt!)).toBeLessThan(60_000);
    expect(Date.parse(expiresAt!) - Date.parse(lastActiveAt!)).toBe(days * DAY_MS);
  }

  test('is used by a search, by files that are added, and by a run', async () => {
    const id = await shelf.storeOf({ 'llama.md': 'Llamas hum.' }, { expiresAfterDays: 5 });
    await expectUsed(id, 5);
    await unused(id, 3);
    expect(Date.parse((await shelf.state(id)).expiresAt!) - Date.now()).toBeLessThan(2.1 * DAY_MS);
    await shelf.search(id, 'llamas');
    await expectUsed(id, 5);

    await unused(id, 3);
    await shelf.add(id, [{ fileId: await shelf.upload('goat.md', 'Goats climb.') }]);
    await shelf.settled(id);
    await expectUsed(id, 5);

    await unused(id, 3);
    const assistantId = await stage.createAssistant({
      tools: [{ fileSearch: {} }],
      toolResources: { fileSearch: { vectorStoreIds: [id] } },
    });
    stage.scenes.push(calls([search('goats')]), says('ok'));
    await stage.perform({ assistantId });
    await expectUsed(id, 5);
  });

  test('is used by files that come with messages, when it is a thread’s', async () => {
    const fileId = await shelf.upload('llama.md', 'Llamas hum.');
    const { createThread } = await stage.app.query(CreateThreadDocument, { input: { messages: [message(fileId)] } });
    const threadId = createThread.thread!.id;
    const [{ id }] = (await rows.query(
      `select tool_resources #>> '{fileSearch,vectorStoreIds,0}' as id from thread where id = $1`,
      [threadId],
    )) as [{ id: string }];
    await shelf.settled(id);
    await unused(id, 6);
    const another = await shelf.upload('goat.md', 'Goats climb.');
    await stage.app.query(CreateMessageDocument, { input: { threadId, ...message(another) } });
    await shelf.settled(id);
    await expectUsed(id, 7);
    expect((await shelf.state(id)).fileCounts).toMatchObject({ completed: 2, total: 2 });
  });
});

describe('a store that has expired', () => {
  test('finds nothing, takes nothing, and keeps its list of files, of which a new store can be made', async () => {
    const id = await shelf.storeOf({ 'llama.md': 'Llamas hum.', 'goat.md': 'Goats climb.' }, { expiresAfterDays: 1 });
    const fileIds = (await shelf.state(id)).files.nodes.map(({ fileId }) => fileId);
    await unused(id, 2);
    expect(await shelf.state(id)).toMatchObject({ status: 'EXPIRED' });
    const found = await stage.app.raw(SearchVectorStoreDocument, { id, query: 'llamas', first: 1 });
    expect(found.errors).toMatchObject([{ extensions: { code: 'INVALID_INPUT' }, message: expect.stringMatching(/has expired/) }]);
    const { addVectorStoreFiles } = await stage.app.query(AddVectorStoreFilesDocument, {
      input: { vectorStoreId: id, files: [{ fileId: fileIds[0]! }] },
    });
    expect(addVectorStoreFiles.userErrors).toMatchObject([
      { code: 'INVALID_INPUT', message: expect.stringMatching(/make a new one of its files/) },
    ]);
    const update = async (input: object) =>
      (await stage.app.query(UpdateVectorStoreDocument, { input: { vectorStoreId: id, ...input } })).updateVectorStore;
    expect((await update({ expiresAfterDays: 9 })).userErrors).toMatchObject([{ code: 'INVALID_INPUT' }]);
    expect((await update({ name: 'over' })).vectorStore).toMatchObject({ name: 'over', status: 'EXPIRED' });

    // What it held is removed, and nothing of its list.
    await eventually(async () => expect(await shelf.state(id)).toMatchObject({ usageBytes: 0 }));
    await expectCountsRight(rows, id);
    const over = await shelf.state(id);
    expect(over).toMatchObject({ status: 'EXPIRED', fileCounts: { completed: 2, total: 2 } });
    expect(over.files.nodes.map(({ fileId }) => fileId)).toEqual(fileIds);
    expect(await shelf.text(over.files.nodes[0]!.id)).toBeNull();
    expect(await rows.query('select 1 from store_lexeme where vector_store_id = $1', [id])).toEqual([]);
    const again = await shelf.store({ fileIds });
    expect((await shelf.search(again, 'llamas'))[0]).toMatchObject({ filename: 'llama.md' });
  });

  test('is said to the model beside one that has not, which is searched', async () => {
    const ours = await shelf.storeOf({ 'llama.md': 'Llamas hum when they are content.' });
    const theirs = await shelf.storeOf({ 'goat.md': 'Goats climb.' }, { expiresAfterDays: 1 });
    const assistantId = await stage.createAssistant({
      tools: [{ fileSearch: {} }],
      toolResources: { fileSearch: { vectorStoreIds: [ours] } },
    });
    const { createThread } = await stage.app.query(CreateThreadDocument, {
      input: { messages: [{ content: [{ text: 'x' }] }], toolResources: { fileSearch: { vectorStoreIds: [theirs] } } },
    });
    await unused(theirs, 2);
    stage.scenes.push(calls([search('llamas')]), says('ok'));
    await stage.perform({ assistantId, threadId: createThread.thread!.id });
    const told = bodies(stage.model).at(-1)!.messages.at(-1).content as string;
    expect(told).toMatch(/^【0:0†llama\.md】/);
    expect(told).toMatch(/Other files have expired.*were not searched\.$/);
  });
});

test('what a deleted store held is removed, down to the last row', async () => {
  const id = await shelf.storeOf({ 'llama.md': 'Llamas hum.', 'goat.md': 'Goats climb.' });
  const tables = ['vector_store_file', 'chunk', 'store_lexeme', 'vector_store_file_batch'];
  await shelf.add(id, [{ fileId: await shelf.upload('zebra.md', 'Zebras run.') }]);
  await shelf.settled(id);
  const count = async () => {
    const counted = await rows.query<{ count: number }>(
      [
        ...tables.map((table) => `select count(*)::int as count from ${table} where vector_store_id = $1`),
        'select count(*)::int from vector_store where id = $1',
        'select count(*)::int from extracted_text t where not exists (select from vector_store_file f where f.id = t.vector_store_file_id) and $1 > $$$$',
      ].join(' union all '),
      [id],
    );
    return counted.map(({ count: rowsThere }) => rowsThere);
  };
  expect(await count()).toEqual([3, 3, expect.any(Number), 1, 1, 0]);
  await stage.app.query(DeleteVectorStoreDocument, { input: { vectorStoreId: id } });
  await eventually(async () => expect(await count()).toEqual([0, 0, 0, 0, 0, 0]));
});
