import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  FollowVectorStoreDocument,
  type FollowVectorStoreSubscription,
  UpdateVectorStoreDocument,
} from '../../src/generated/graphql/graphql.ts';
import { eventually } from '../eventually.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createShelf, type Shelf } from './shelf.ts';

const FILES = 40;
/** Milliseconds between two events, less what timers are off by. */
const WINDOW_MS = 90;

let app: TestSkein;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  app = await startSkein();
  shelf = createShelf(app);
  rows = await openRows(app);
});
afterAll(async () => {
  await rows?.close();
  await app?.close();
});

const follow = (id: string) => app.follow(FollowVectorStoreDocument, { id });
type Store = FollowVectorStoreSubscription['vectorStoreEvents']['vectorStore'];
const storeOf = ({ value }: IteratorResult<FollowVectorStoreSubscription>): Store =>
  (value as FollowVectorStoreSubscription).vectorStoreEvents.vectorStore;

test('a page can draw a progress bar: from what is, to what is done, and never backwards', async () => {
  const fileIds = await Promise.all(
    Array.from({ length: FILES }, (_, i) => shelf.upload(`f${i}.md`, `# File ${i}\n\n${'Words of a file. '.repeat(300)}\n`)),
  );
  const id = await shelf.store({ fileIds }, false);
  const seen: (Store & { at: number })[] = [];
  for await (const { vectorStoreEvents } of follow(id)) {
    seen.push({ ...vectorStoreEvents.vectorStore, at: performance.now() });
    if (vectorStoreEvents.vectorStore.status === 'COMPLETED') break;
  }
  expect(seen.length).toBeGreaterThanOrEqual(3);
  expect(seen.at(-1)!.fileCounts).toEqual({ inProgress: 0, completed: FILES, failed: 0, cancelled: 0, total: FILES });
  for (const [i, { fileCounts, status }] of seen.entries()) {
    expect(fileCounts.total).toBe(FILES);
    expect(fileCounts.inProgress + fileCounts.completed).toBe(FILES);
    expect(status).toBe(fileCounts.inProgress > 0 ? 'IN_PROGRESS' : 'COMPLETED');
    if (i === 0) continue;
    expect(fileCounts.completed).toBeGreaterThanOrEqual(seen[i - 1]!.fileCounts.completed);
  }
  // At most ten a second, over the whole.
  expect((seen.at(-1)!.at - seen[0]!.at) / (seen.length - 1)).toBeGreaterThan(WINDOW_MS);
});

test('every change of the store is told, and none of another', async () => {
  const id = await shelf.store({ name: 'before' });
  const before = app.skein.counts().listeners;
  const events = follow(id);
  expect(storeOf(await events.next())).toMatchObject({ name: 'before', fileCounts: { total: 0 } });
  expect(app.skein.counts().listeners).toBe(before + 1);
  await app.query(UpdateVectorStoreDocument, { input: { vectorStoreId: id, name: 'after' } });
  expect(storeOf(await events.next())).toMatchObject({ name: 'after' });
  const next = events.next();
  // Another store moves; what was written past everybody is found by looking.
  await shelf.storeOf({ 'a.md': 'Something else.' });
  await rows.query(`update vector_store set name = 'behind our back' where id = $1`, [id]);
  expect(storeOf(await next)).toMatchObject({ name: 'behind our back' });
  await events.return!();
  await eventually(() => expect(app.skein.counts().listeners).toBe(before));
});

test('nobody follows a store that is not there', async () => {
  await expect(follow('vs_01m8g07wt43xcv3aa1k2abtdkh').next()).rejects.toThrow(/No vector store found/);
});
