import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Connection } from '../../src/client/connection.ts';
import type { Reach } from '../../src/client/conversation-store.ts';
import { followThreads, type ThreadListStore } from '../../src/client/thread-list-store.ts';
import {
  CreateThreadDocument,
  type CreateThreadInput,
  DeleteThreadDocument,
  StartRunDocument,
  type ThreadFilter,
  ThreadsDocument,
  UpdateThreadDocument,
} from '../../src/generated/graphql/graphql.ts';
import { type HeldModel, openHeldModel } from '../events/held-model.ts';
import { createAssistant } from '../events/story.ts';
import { eventually } from '../eventually.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { openWire, type Wire } from './wire.ts';

let model: HeldModel;
let skein: TestSkein;
let assistantId: string;
let wire: Wire;
const stores: ThreadListStore[] = [];

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistantId = await createAssistant(skein);
});

beforeEach(async () => {
  wire = await openWire(skein);
});

afterEach(async () => {
  for (const store of stores.splice(0)) store.close();
  await wire.close();
  const { threads } = await skein.query(ThreadsDocument, { first: 100 });
  for (const { id } of threads.nodes) await remove(id);
});

afterAll(async () => {
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0, activeRuns: 0 }));
  await skein?.close();
  await model?.close();
});

async function create(title: string, more: CreateThreadInput = {}): Promise<string> {
  const { createThread } = await skein.query(CreateThreadDocument, { input: { title, ...more } });
  return createThread.thread!.id;
}
const rename = (threadId: string, title: string) => skein.query(UpdateThreadDocument, { input: { threadId, title } });
const remove = (threadId: string) => skein.query(DeleteThreadDocument, { input: { threadId } });

const titles = ({ get }: ThreadListStore) => get().threads.map(({ title }) => title);
/** All of `expected` down to `last`, and perhaps some more of it. */
const showsDownTo = (store: ThreadListStore, last: string, expected: string[]) =>
  eventually(() => {
    expect(titles(store)).toEqual(expected.slice(0, titles(store).length));
    expect(titles(store)).toContain(last);
  });
const shows = (store: ThreadListStore, ...expected: string[]) =>
  eventually(() => expect(titles(store)).toEqual(expected));

async function open(filter: ThreadFilter | null = null, reach: Partial<Reach> = {}): Promise<ThreadListStore> {
  const { subscribe, request }: Connection = wire.connection;
  const store = followThreads({ subscribe, request, ...reach }, filter);
  stores.push(store);
  await eventually(() => expect(store.get().loaded).toBe(true));
  return store;
}

/** More than a page. */
const MEANWHILE = Array.from({ length: 10 }, (_, i) => `meanwhile ${i}`);

describe('a list of threads that is followed', () => {
  test('shows what is there, and moves with what is made, renamed and deleted', async () => {
    const old = await create('old');
    const store = await open();
    expect(store.get()).toMatchObject({ status: 'live', error: null, hasMore: false });
    expect(titles(store)).toEqual(['old']);
    await create('new');
    await shows(store, 'new', 'old');
    await rename(old, 'renamed');
    await shows(store, 'new', 'renamed');
    await remove(old);
    await shows(store, 'new');
    expect(wire.requests).toHaveLength(1);
  });

  test('tells of runs that begin and end', async () => {
    const threadId = await create('busy');
    const store = await open();
    const status = () => store.get().threads[0]!.activeRun?.status ?? null;
    expect(status()).toBeNull();
    await skein.query(StartRunDocument, { input: { threadId, assistantId } });
    const answer = await model.asked();
    await eventually(() => expect(status()).toBe('IN_PROGRESS'));
    answer.say('Done.');
    answer.end();
    await eventually(() => expect(status()).toBeNull());
  });

  test('has those that fit its filter, and loses one that fits no longer', async () => {
    const lakes = await create('Lakes of Asia');
    await create('Rivers');
    const store = await open({ search: 'lake' });
    expect(titles(store)).toEqual(['Lakes of Asia']);
    const other = await create('More lakes');
    await create('More rivers');
    await shows(store, 'More lakes', 'Lakes of Asia');
    await rename(lakes, 'Seas of Asia');
    await shows(store, 'More lakes');
    await rename(lakes, 'Lakes again');
    await shows(store, 'More lakes', 'Lakes again');
    await remove(other);
    await shows(store, 'Lakes again');

    const tagged = await open({ metadata: { team: 'a' } });
    expect(titles(tagged)).toEqual([]);
    await create('ours', { metadata: { team: 'a' } });
    await create('theirs', { metadata: { team: 'b' } });
    await shows(tagged, 'ours');
  });

  test('is read anew when its connection is, down to the oldest that was there', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await create(`thread ${i}`));
    const store = await open(null, { pageSize: 4 });
    await store.loadMore();
    expect(titles(store)).toHaveLength(8);
    await wire.refuse();
    await eventually(() => expect(store.get().status).toBe('reconnecting'));
    for (const title of MEANWHILE) await create(title);
    expect(store.get().error).toMatchObject({ code: 'UNREACHABLE' });
    await rename(ids[9]!, 'renamed meanwhile');
    await remove(ids[8]!);
    expect(titles(store)).toHaveLength(8);
    await wire.admit();
    const older = [7, 6, 5, 4, 3, 2, 1, 0].map((i) => `thread ${i}`);
    const now = [...MEANWHILE.toReversed(), 'thread 11', 'thread 10', 'renamed meanwhile', ...older];
    await showsDownTo(store, 'thread 4', now);
    expect(store.get()).toMatchObject({ status: 'live', error: null, hasMore: true });
    // It moves as before.
    await create('newest');
    await eventually(() => expect(titles(store)[0]).toBe('newest'));
  });

  test('is read again until it can be', async () => {
    await create('there');
    let failures = 3;
    const unavailable = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
    wire.answer = () => (failures-- > 0 ? unavailable : null);
    const store = followThreads(wire.connection);
    stores.push(store);
    await eventually(() => expect(store.get()).toMatchObject({ status: 'live', error: { code: 'UNREACHABLE' } }));
    await shows(store, 'there');
    expect(store.get()).toMatchObject({ loaded: true, error: null });
    expect(wire.requests).toHaveLength(4);
  });
});

describe('pages of a list', () => {
  test('come each once and in order, while new threads come as well', async () => {
    const made: string[] = [];
    for (let i = 0; i < 23; i++) {
      await create(`thread ${i}`);
      made.unshift(`thread ${i}`);
    }
    const store = await open(null, { pageSize: 5 });
    expect(titles(store)).toEqual(made.slice(0, 5));
    const added: string[] = [];
    while (store.get().hasMore) {
      const both = [store.loadMore(), store.loadMore()];
      expect(store.get().loadingMore).toBe(true);
      added.unshift(`added ${added.length}`);
      await Promise.all([...both, create(added[0]!)]);
    }
    await shows(store, ...added, ...made);
    expect(wire.requests).toHaveLength(Math.ceil(23 / 5));
    const before = wire.requests.length;
    await store.loadMore();
    expect(wire.requests).toHaveLength(before);
  });

  test('are whole when the connection is lost while one is on its way', async () => {
    const made: string[] = [];
    for (let i = 0; i < 12; i++) made.unshift(`thread ${i}`);
    for (const title of made.toReversed()) await create(title);
    const late = Promise.withResolvers<void>();
    let first = true;
    const request: Reach['request'] = async (document, variables) => {
      const page = await wire.connection.request(document, variables);
      if ('after' in (variables as object) && (variables as { after: unknown }).after !== null && first) {
        first = false;
        await late.promise;
      }
      return page;
    };
    const store = await open(null, { request, pageSize: 4 });
    const more = store.loadMore();
    await eventually(() => expect(first).toBe(false));
    wire.cut();
    await eventually(() => expect(store.get().status).toBe('reconnecting'));
    await eventually(() => expect(store.get().status).toBe('live'));
    late.resolve();
    await more;
    await create('new');
    await showsDownTo(store, made[7]!, ['new', ...made]);
    while (store.get().hasMore) await store.loadMore();
    await shows(store, 'new', ...made);
  });

  test('that cannot be read are said to be so, and asked for again', async () => {
    for (let i = 0; i < 5; i++) await create(`thread ${i}`);
    const store = await open(null, { pageSize: 3 });
    wire.answer = () => 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
    await expect(store.loadMore()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(store.get()).toMatchObject({ loadingMore: false, hasMore: true });
    wire.answer = null;
    await store.loadMore();
    expect(titles(store)).toHaveLength(5);
  });
});
