import { getNamedType, isInputObjectType } from 'graphql';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSchema } from '../../src/schema.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { openRows, type Rows } from './rows.ts';

let skein: TestSkein;
let rows: Rows;
let assistantId: string;
let threadId: string;
let keys = 0;
let idempotencyKey: string;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
  ({ id: assistantId } = await made('createAssistant', { model: 'offline' }));
});

beforeEach(async () => {
  ({ id: threadId } = await made('createThread', {}));
  idempotencyKey = `key ${++keys}`;
});

afterAll(async () => {
  await rows.close();
  await skein.close();
});

interface Create {
  mutation: string;
  result: string;
  table: string;
  input(): object;
  /** Good as well, but another. */
  other(): object;
  /** Refused for a reason of its own. */
  wrong(): object;
  remove(id: string): Promise<unknown>;
  /** Where what stands for the object is not an object with an id. */
  select?: string;
}

const text = (value: string) => ({ content: [{ text: value }] });
const CREATES: Create[] = [
  {
    mutation: 'createAssistant',
    result: 'assistant',
    table: 'assistant',
    input: () => ({ model: 'offline', name: 'a', metadata: { b: '1', a: '2' } }),
    other: () => ({ model: 'offline', name: 'b' }),
    wrong: () => ({ model: '' }),
    remove: (id) => send('deleteAssistant', { assistantId: id }),
  },
  {
    mutation: 'createThread',
    result: 'thread',
    table: 'thread',
    input: () => ({ title: 'a', messages: [text('x')] }),
    other: () => ({ title: 'b' }),
    wrong: () => ({ title: 'x'.repeat(257) }),
    remove: (id) => send('deleteThread', { threadId: id }),
  },
  {
    mutation: 'createMessage',
    result: 'message',
    table: 'message',
    input: () => ({ threadId, ...text('a') }),
    other: () => ({ threadId, ...text('b') }),
    wrong: () => ({ threadId: 'nowhere', ...text('a') }),
    remove: (id) => send('deleteMessage', { messageId: id }),
  },
  {
    mutation: 'startRun',
    result: 'run',
    table: 'run',
    input: () => ({ assistantId, threadId, metadata: { a: '1' } }),
    other: () => ({ assistantId, thread: {} }),
    wrong: () => ({ assistantId: 'nobody', threadId }),
    remove: () => send('deleteThread', { threadId }),
  },
  {
    mutation: 'uploadFile',
    result: 'file',
    table: 'file',
    input: () => ({ file: new File(['a'], 'a.txt') }),
    other: () => ({ file: new File(['b'], 'a.txt') }),
    wrong: () => ({ file: new File(['a'], 'a.txt'), purpose: 'ASSISTANTS_OUTPUT' }),
    remove: (id) => send('deleteFile', { fileId: id }),
  },
  {
    mutation: 'createUpload',
    result: 'uploadUrl',
    select: 'uploadUrl',
    table: 'upload',
    input: () => ({ filename: 'a.txt', bytes: 1 }),
    other: () => ({ filename: 'a.txt', bytes: 2 }),
    wrong: () => ({ filename: '..' }),
    // No mutation does: it goes by its age.
    remove: (id) => rows.query('delete from upload where id = $1', [id]),
  },
  {
    mutation: 'createVectorStore',
    result: 'vectorStore',
    table: 'vector_store',
    input: () => ({ name: 'a' }),
    other: () => ({ name: 'b' }),
    wrong: () => ({ name: 'x'.repeat(257) }),
    remove: (id) => send('deleteVectorStore', { vectorStoreId: id }),
  },
];

interface Answer {
  id: string | null;
  codes: string[];
  paths: string[];
}

async function send(mutation: string, input: object, key = skein.key): Promise<Answer> {
  const { result, select = `${result} { id }` } = CREATES.find((create) => create.mutation === mutation) ?? {};
  const { data, errors } = await skein.raw(
    `mutation ($input: ${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input!) {
      ${mutation}(input: $input) { ${result ? select : 'deletedId'} userErrors { code path } } }`,
    { input },
    key,
  );
  expect(errors).toBeUndefined();
  const payload = data![mutation] as Record<string, { id: string } | string | null> & {
    userErrors: { code: string; path: string[] | null }[];
  };
  return {
    id: idOf(result ? payload[result] : null),
    codes: payload.userErrors.map(({ code }) => code),
    paths: payload.userErrors.map(({ path }) => path?.join('.') ?? ''),
  };
}

/** Of an upload's link, the part that stays the same. */
const idOf = (shown: { id: string } | string | null | undefined): string | null =>
  typeof shown === 'string' ? /upload_\w+/.exec(shown)![0] : (shown?.id ?? null);

async function made(mutation: string, input: object, key?: string): Promise<{ id: string }> {
  const { id, codes } = await send(mutation, input, key);
  expect(codes).toEqual([]);
  expect(id).toBeTruthy();
  return { id: id! };
}

const count = async (table: string): Promise<number> =>
  (await rows.query<{ n: number }>(`select count(*)::int as n from ${table}`))[0]!.n;
const keyRows = () => rows.query('select * from idempotency_key where key = $1', [idempotencyKey]);
const reversed = (input: object): object => Object.fromEntries(Object.entries(input).reverse());

test('every create of the graph is tried here', () => {
  const creates = Object.values(createSchema().getMutationType()!.getFields()).filter(({ args }) => {
    const input = getNamedType(args[0]!.type);
    return isInputObjectType(input) && 'idempotencyKey' in input.getFields();
  });
  // What adds files to a store makes a batch, which no mutation removes: see test/vector-stores.
  const tried = [...CREATES.map(({ mutation }) => mutation), 'addVectorStoreFiles'];
  expect(creates.map(({ name }) => name).sort()).toEqual(tried.sort());
});

describe.each(CREATES)('$mutation under an idempotency key', ({ mutation, table, input, other, wrong, remove }) => {
  test('answers a repetition with the object that was made, whatever the order of the fields', async () => {
    const first = await made(mutation, { ...input(), idempotencyKey });
    const before = await count(table);
    const again = await send(mutation, reversed({ ...input(), idempotencyKey }));
    expect(again).toEqual({ id: first.id, codes: [], paths: [] });
    expect(await count(table)).toBe(before);
  });

  test('refuses another input as a conflict, before any other check', async () => {
    await made(mutation, { ...input(), idempotencyKey });
    const before = await count(table);
    for (const another of [other(), wrong()]) {
      expect(await send(mutation, { ...another, idempotencyKey })).toEqual({
        id: null,
        codes: ['CONFLICT'],
        paths: ['input.idempotencyKey'],
      });
    }
    expect(await count(table)).toBe(before);
  });

  test('makes one object of requests that come at once', async () => {
    const before = await count(table);
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(mutation, { ...input(), idempotencyKey })));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.flatMap(({ codes }) => codes)).toEqual([]);
    expect(await count(table)).toBe(before + 1);
  });

  test('leaves no key behind when it is refused', async () => {
    const before = await count(table);
    expect((await send(mutation, { ...wrong(), idempotencyKey })).codes).not.toEqual([]);
    expect(await keyRows()).toEqual([]);
    expect(await count(table)).toBe(before);
    await made(mutation, { ...input(), idempotencyKey });
  });

  test('says NOT_FOUND of an object that was deleted since, and makes no other', async () => {
    const { id } = await made(mutation, { ...input(), idempotencyKey });
    await remove(id);
    const before = await count(table);
    expect(await send(mutation, { ...input(), idempotencyKey })).toMatchObject({ id: null, codes: ['NOT_FOUND'] });
    expect(await count(table)).toBe(before);
  });

  test('forgets the key after 24 hours', async () => {
    const first = await made(mutation, { ...input(), idempotencyKey });
    const age = (hours: number) =>
      rows.query(`update idempotency_key set created_at = now() - $2 * interval '1 hour' where key = $1`, [
        idempotencyKey,
        hours,
      ]);
    await age(23.9);
    expect(await send(mutation, { ...input(), idempotencyKey })).toMatchObject({ id: first.id });
    await age(24.1);
    const second = await made(mutation, { ...other(), idempotencyKey });
    expect(second.id).not.toBe(first.id);
    expect(await send(mutation, { ...other(), idempotencyKey })).toMatchObject({ id: second.id });
    expect((await keyRows()).length).toBe(1);
  });
});

test('a key means one thing in each project and for each mutation', async () => {
  const { createProject } = await skein.query<{ createProject: { created: { firstKey: { secret: string } } } }, object>(
    'mutation { createProject(input: { name: "other" }) { created { firstKey { secret } } } }',
  );
  const { secret } = createProject.created.firstKey;
  const ids = [
    await made('createThread', { title: 'a', idempotencyKey }),
    await made('createThread', { title: 'b', idempotencyKey }, secret),
    await made('createAssistant', { model: 'c', idempotencyKey }),
  ];
  expect(new Set(ids.map(({ id }) => id)).size).toBe(3);
});

test('a thread that is made with its run is made once, also by requests that come at once', async () => {
  const input = { assistantId, thread: { title: 'new', messages: [text('x')] }, idempotencyKey };
  const before = await count('thread');
  const answers = await Promise.all(Array.from({ length: 5 }, () => send('startRun', input)));
  answers.push(await send('startRun', input));
  expect(answers.flatMap(({ codes }) => codes)).toEqual([]);
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
  expect(await count('thread')).toBe(before + 1);
});

test('a repeated run in a thread that it holds itself is no busy thread', async () => {
  const input = { assistantId, threadId, additionalMessages: [text('x')], idempotencyKey };
  const { id } = await made('startRun', input);
  expect(await send('startRun', input)).toEqual({ id, codes: [], paths: [] });
  const messages = await rows.query('select id from message where thread_id = $1 and role = $2', [threadId, 'USER']);
  expect(messages).toHaveLength(1);
});

test('a create that died between its key and its object is done by the repetition', async () => {
  const first = await made('createThread', { title: 'a', idempotencyKey });
  await rows.query('delete from event where thread_id = $1', [first.id]);
  await rows.query('delete from thread where id = $1', [first.id]);
  await rows.query('update idempotency_key set done = false where key = $1', [idempotencyKey]);
  expect(await made('createThread', { title: 'a', idempotencyKey })).toEqual(first);
});

test('two creates of one document may each have a key', async () => {
  const document = `mutation { a: createThread(input: { title: "a", idempotencyKey: "${idempotencyKey} a" }) { thread { id } }
    b: createThread(input: { title: "b", idempotencyKey: "${idempotencyKey} b" }) { thread { id } } }`;
  const first = await skein.raw(document);
  expect(await skein.raw(document)).toEqual(first);
  expect(first.data).toEqual({ a: { thread: { id: expect.any(String) } }, b: { thread: { id: expect.any(String) } } });
});
