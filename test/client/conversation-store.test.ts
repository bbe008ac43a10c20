import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Subscribe } from '../../src/client/connection.ts';
import { type ConversationStore, followRun, followThread, type Reach } from '../../src/client/conversation-store.ts';
import { conversationOf } from '../../src/client/fold.ts';
import {
  ConversationDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  DeleteMessageDocument,
  type MessageInput,
  StartRunDocument,
  type StartRunInput,
} from '../../src/generated/graphql/graphql.ts';
import { type Answer, type HeldModel, openHeldModel } from '../events/held-model.ts';
import { createAssistant, stored } from '../events/story.ts';
import { eventually } from '../eventually.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { sameAs } from './followed.ts';
import { openWire, type Wire } from './wire.ts';

let model: HeldModel;
let skein: TestSkein;
let assistantId: string;
let wire: Wire;
const stores: ConversationStore[] = [];

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistantId = await createAssistant(skein);
  wire = await openWire(skein);
});

afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});

afterAll(async () => {
  await wire?.close();
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0, activeRuns: 0 }));
  await skein?.close();
  await model?.close();
});

const says = (text: string): MessageInput => ({ content: [{ text }] });
const textsOf = (store: ConversationStore) => store.get().conversation.messages.map(({ text }) => text);
const until = (store: ConversationStore, condition: (store: ConversationStore) => boolean) =>
  eventually(() => expect(condition(store)).toBe(true));

async function newThread(...texts: string[]): Promise<string> {
  const { createThread } = await skein.query(CreateThreadDocument, { input: { messages: texts.slice(0, 100).map(says) } });
  const threadId = createThread.thread!.id;
  for (const text of texts.slice(100)) {
    await skein.query(CreateMessageDocument, { input: { threadId, ...says(text) } });
  }
  return threadId;
}

function open(threadId: string, reach: Partial<Reach> = {}): ConversationStore {
  const { subscribe, request } = wire.connection;
  const store = followThread({ subscribe, request, ...reach }, threadId);
  stores.push(store);
  return store;
}

async function answered(said: string): Promise<void> {
  const answer = await model.asked();
  answer.say(said);
  answer.end();
}

describe('a conversation that is followed', () => {
  test('is not there until what is stored is, and then moves', async () => {
    const threadId = await newThread('Hello.');
    const store = open(threadId);
    expect(store.get()).toMatchObject({ loaded: false, status: 'connecting', pending: [], error: null });
    await until(store, ({ get }) => get().loaded);
    expect(store.get()).toMatchObject({ status: 'live', conversation: { messages: [{ text: 'Hello.' }] } });
    let told = 0;
    const off = store.listen(() => (told += 1));
    await skein.query(StartRunDocument, { input: { threadId, assistantId } });
    await answered('Good day!');
    await until(store, ({ get }) => get().conversation.runs[0]?.status === 'COMPLETED');
    sameAs(store.get().conversation, await stored(skein, threadId));
    // What comes within one frame is told once.
    await eventually(() => expect(told).toBeGreaterThan(0));
    const events = Number(store.get().conversation.cursor!.split('.')[1]);
    expect(told).toBeLessThanOrEqual(events);
    off();
  });

  test('of a run ends with it, and has nothing else of the thread', async () => {
    const threadId = await newThread('Hello.');
    const { startRun } = await skein.query(StartRunDocument, { input: { threadId, assistantId } });
    const runId = startRun.run!.id;
    const store = followRun(wire.connection, runId);
    stores.push(store);
    await until(store, ({ get }) => get().loaded);
    await answered('Good day!');
    await until(store, ({ get }) => get().status === 'ended');
    expect(store.get().error).toBeNull();
    expect(textsOf(store)).toEqual(['Good day!']);
    expect(store.get().conversation.runs).toMatchObject([{ id: runId, status: 'COMPLETED' }]);
    await store.loadOlder();
    expect(textsOf(store)).toEqual(['Good day!']);
  });

  test('goes on from what a query knew', async () => {
    const threadId = await newThread('One.', 'Two.');
    const known = conversationOf(await wire.connection.request(ConversationDocument, { threadId }))!;
    await skein.query(CreateMessageDocument, { input: { threadId, ...says('Three.') } });
    const before = wire.subscribed.length;
    const store = followThread(wire.connection, threadId, known);
    stores.push(store);
    expect(store.get()).toMatchObject({ loaded: true, status: 'connecting' });
    expect(textsOf(store)).toEqual(['One.', 'Two.']);
    await until(store, () => textsOf(store).length === 3);
    expect(wire.subscribed.slice(before)).toMatchObject([{ variables: { threadId, after: known.cursor } }]);
  });
});

describe('older messages', () => {
  test('come page by page, each once and in order, while new ones come as well', async () => {
    const texts = Array.from({ length: 124 }, (_, i) => `message ${i}`);
    const threadId = await newThread(...texts);
    for (let i = 0; i < 3; i++) {
      await skein.query(StartRunDocument, { input: { threadId, assistantId, additionalMessages: [says(`question ${i}`)] } });
      await answered(`answer ${i}`);
      const store = open(threadId);
      await until(store, ({ get }) => get().conversation.runs.at(-1)?.status === 'COMPLETED');
      store.close();
    }
    const store = open(threadId, { pageSize: 17 });
    await until(store, ({ get }) => get().loaded);
    const first = store.get().conversation.messages.length;
    expect(first).toBeLessThan(124);
    let pages = 0;
    const asked = wire.requests.length;
    while (store.get().conversation.older !== null) {
      // Two who scroll at once read one page.
      const both = [store.loadOlder(), store.loadOlder()];
      expect(store.get().loadingOlder).toBe(true);
      const added = skein.query(CreateMessageDocument, { input: { threadId, ...says(`new ${pages}`) } });
      await Promise.all([...both, added]);
      expect(store.get().loadingOlder).toBe(false);
      pages += 1;
    }
    expect(pages).toBe(Math.ceil((124 + 6 - first) / 17));
    expect(wire.requests).toHaveLength(asked + pages);
    await until(store, () => textsOf(store).at(-1) === `new ${pages - 1}`);
    expect(textsOf(store)).toEqual([
      ...texts,
      ...[0, 1, 2].flatMap((i) => [`question ${i}`, `answer ${i}`]),
      ...Array.from({ length: pages }, (_, i) => `new ${i}`),
    ]);
    const ids = store.get().conversation.messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const runs = store.get().conversation.runs.map(({ id }) => id);
    expect(runs).toEqual(runs.toSorted());
    await store.loadOlder();
    expect(wire.requests).toHaveLength(asked + pages);
  });

  test('do not join a snapshot that has come meanwhile and begins somewhere else', async () => {
    const texts = Array.from({ length: 180 }, (_, i) => `message ${i}`);
    const threadId = await newThread(...texts.slice(0, 60));
    let snapshot: (() => Promise<void>) | undefined;
    const subscribe: Subscribe = (document, variables, sink) => {
      snapshot = () =>
        new Promise((resolve) => {
          const end = wire.connection.subscribe(document, variables, {
            ...sink,
            next(result) {
              end();
              sink.next(result);
              resolve();
            },
          });
        });
      return wire.connection.subscribe(document, variables, sink);
    };
    const request: Reach['request'] = async (document, variables) => {
      const page = await wire.connection.request(document, variables);
      for (const text of texts.slice(60)) await skein.query(CreateMessageDocument, { input: { threadId, ...says(text) } });
      await snapshot!();
      return page;
    };
    const store = open(threadId, { subscribe, request });
    await until(store, ({ get }) => get().loaded);
    await store.loadOlder();
    await until(store, () => textsOf(store).at(-1) === texts.at(-1));
    expect(textsOf(store)).toEqual(texts.slice(-textsOf(store).length));
    expect(textsOf(store).length).toBeLessThan(120);
  });

  test('bring the runs of their messages, in order', async () => {
    const threadId = await newThread();
    for (let i = 0; i < 4; i++) {
      await skein.query(StartRunDocument, { input: { threadId, assistantId, additionalMessages: [says(`question ${i}`)] } });
      await answered(`answer ${i}`);
      const store = open(threadId);
      await until(store, ({ get }) => get().conversation.runs.at(-1)?.status === 'COMPLETED');
      store.close();
    }
    const whole = await stored(skein, threadId);
    // Known from its last message on.
    const known = conversationOf(await wire.connection.request(ConversationDocument, { threadId, last: 1 }))!;
    const store = followThread({ ...wire.connection, pageSize: 3 }, threadId, known);
    stores.push(store);
    while (store.get().conversation.older !== null) await store.loadOlder();
    sameAs(store.get().conversation, whole);
  });

  test('that cannot be read are said to be so, and asked for again', async () => {
    const threadId = await newThread(...Array.from({ length: 60 }, (_, i) => `message ${i}`));
    const store = open(threadId);
    await until(store, ({ get }) => get().loaded);
    const first = textsOf(store).length;
    wire.answer = () => 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
    await expect(store.loadOlder()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    wire.answer = null;
    expect(store.get().loadingOlder).toBe(false);
    expect(textsOf(store)).toHaveLength(first);
    await store.loadOlder();
    expect(textsOf(store)).toHaveLength(60);
  });

  test('do not bring back what was deleted while they were on their way', async () => {
    const threadId = await newThread(...Array.from({ length: 60 }, (_, i) => `message ${i}`));
    const request: Reach['request'] = async (document, variables) => {
      const page = await wire.connection.request(document, variables);
      const { thread } = page as { thread: { messages: { nodes: { id: string }[] } } };
      const messageId = thread.messages.nodes[0]!.id;
      await skein.query(DeleteMessageDocument, { input: { messageId } });
      await until(store, ({ get }) => get().conversation.dropped.has(messageId));
      return page;
    };
    const store = open(threadId, { request });
    await until(store, ({ get }) => get().loaded);
    await store.loadOlder();
    expect(textsOf(store)).toEqual(Array.from({ length: 59 }, (_, i) => `message ${i + 1}`));
  });
});

describe('a message that was just sent', () => {
  /** What `useStartRun` does. */
  async function send(store: ConversationStore, input: StartRunInput, request = wire.connection.request) {
    const told = store.expect(input.additionalMessages!);
    try {
      const { startRun } = await request(StartRunDocument, { input });
      told(startRun.run?.id ?? null);
      return startRun;
    } catch (error) {
      told(null);
      throw error;
    }
  }

  /** How often a text is to be seen, as a message or as one that is on its way. */
  const seen = (store: ConversationStore, text: string): number =>
    textsOf(store).filter((one) => one === text).length +
    store.get().pending.filter(({ message }) => message.content[0]!.text === text).length;

  /** A store whose events come one by one, each when the one before has been looked at. */
  function watched(threadId: string, look: (store: ConversationStore) => void, held?: Promise<unknown>): ConversationStore {
    let line = Promise.resolve<unknown>(null);
    const subscribe: Subscribe = (document, variables, sink) =>
      wire.connection.subscribe(document, variables, {
        ...sink,
        next(result) {
          line = line
            .then(() => (JSON.stringify(result).includes('Snapshot') ? null : held))
            .then(() => setImmediate())
            .then(() => {
              sink.next(result);
              look(store);
            });
        },
      });
    const store = open(threadId, { subscribe });
    return store;
  }

  const additionalMessages = [says('Which lake is the deepest?')];
  const [text] = ['Which lake is the deepest?'];

  test.for(['the answer', 'the log'] as const)('is there at once, and at every moment once, with %s first', async (first) => {
    const threadId = await newThread('Hello.');
    const sent = Promise.withResolvers<unknown>();
    const counts = new Set<number>();
    let watching = false;
    const look = (store: ConversationStore) => {
      if (watching) counts.add(seen(store, text!));
    };
    const store = watched(threadId, look, first === 'the answer' ? sent.promise : undefined);
    await until(store, ({ get }) => get().loaded);
    const arrived = () => until(store, () => textsOf(store).includes(text!));
    const request: Reach['request'] = async (document, variables) => {
      const result = await wire.connection.request(document, variables);
      if (first === 'the log') await arrived();
      return result;
    };
    watching = true;
    const sending = send(store, { threadId, assistantId, additionalMessages }, request);
    look(store);
    expect(store.get().pending).toMatchObject([{ message: additionalMessages[0], runId: null }]);
    const { run } = await sending;
    look(store);
    if (first === 'the answer') expect(store.get().pending).toMatchObject([{ runId: run!.id }]);
    sent.resolve(null);
    await arrived();
    expect(store.get().pending).toEqual([]);
    await answered('Baikal.');
    await until(store, ({ get }) => get().conversation.runs[0]?.status === 'COMPLETED');
    expect(counts).toEqual(new Set([1]));
    sameAs(store.get().conversation, await stored(skein, threadId));
  });

  test('waits in line with its run, and is still there when another one like it comes', async () => {
    const threadId = await newThread();
    const counts: number[] = [];
    const store = watched(threadId, (one) => {
      const count = seen(one, text!);
      if (counts.at(-1) !== count) counts.push(count);
    });
    await until(store, ({ get }) => get().loaded);
    const input: StartRunInput = { threadId, assistantId, additionalMessages, ifBusy: 'ENQUEUE' };
    await send(store, input);
    const first = await model.asked();
    const { run: second } = await send(store, input);
    await until(store, ({ get }) => get().conversation.runs[0]?.status === 'IN_PROGRESS');
    expect(store.get().pending).toMatchObject([{ runId: second!.id }]);
    expect(textsOf(store).filter((one) => one === text)).toHaveLength(1);
    const finish = (answer: Answer) => {
      answer.say('Baikal.');
      answer.end();
    };
    finish(first);
    finish(await model.asked());
    await until(store, ({ get }) => get().conversation.runs.filter(({ status }) => status === 'COMPLETED').length === 2);
    expect(store.get().pending).toEqual([]);
    // Never one less, never one more.
    expect(counts.filter((count) => count > 0)).toEqual(counts.includes(1) ? [1, 2] : [2]);
    sameAs(store.get().conversation, await stored(skein, threadId));
  });

  test('is gone when its run is refused, or was never asked for', async () => {
    const threadId = await newThread();
    const store = open(threadId);
    await until(store, ({ get }) => get().loaded);
    await skein.query(StartRunDocument, { input: { threadId, assistantId, additionalMessages: [says('First.')] } });
    const first = await model.asked();
    const refused = send(store, { threadId, assistantId, additionalMessages, ifBusy: 'REJECT' });
    expect(store.get().pending).toHaveLength(1);
    expect((await refused).userErrors).toMatchObject([{ code: 'THREAD_BUSY' }]);
    expect(store.get().pending).toEqual([]);
    const lost: Reach['request'] = () => Promise.reject(new Error('the network is away'));
    await expect(send(store, { threadId, assistantId, additionalMessages }, lost)).rejects.toThrow('away');
    expect(store.get().pending).toEqual([]);
    first.say('Yes.');
    first.end();
    await until(store, ({ get }) => get().conversation.runs[0]?.status === 'COMPLETED');
    expect(textsOf(store)).toEqual(['First.', 'Yes.']);
  });

  test('stays while the connection is lost, until it is known to be stored', async () => {
    const threadId = await newThread();
    const store = open(threadId);
    await until(store, ({ get }) => get().loaded);
    const told = store.expect(additionalMessages);
    await wire.refuse();
    await until(store, ({ get }) => get().status === 'reconnecting');
    const { startRun } = await skein.query(StartRunDocument, { input: { threadId, assistantId, additionalMessages } });
    told(startRun.run!.id);
    expect(store.get().pending).toHaveLength(1);
    await wire.admit();
    await until(store, ({ get }) => get().pending.length === 0);
    expect(textsOf(store)).toContain(text);
    await answered('Baikal.');
    await until(store, ({ get }) => get().conversation.runs[0]?.status === 'COMPLETED');
  });
});
