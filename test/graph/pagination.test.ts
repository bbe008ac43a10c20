import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CreateAssistantDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  DeleteThreadDocument,
  FollowRunDocument,
  StartRunDocument,
} from '../../src/generated/graphql/graphql.ts';
import { mintId } from '../../src/ids.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createReader, type Order } from './pages.ts';
import { openRows, type Rows } from './rows.ts';

const SIZES = [0, 1, 19, 20, 21, 100];
const ORDERS: Order[] = ['ASC', 'DESC'];

let skein: TestSkein;
let rows: Rows;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
});

afterAll(async () => {
  await rows.close();
  await skein.close();
});

interface Project {
  id: string;
  key: string;
}

async function newProject(): Promise<Project> {
  const { createProject } = await skein.query<
    { createProject: { created: { project: { id: string }; firstKey: { secret: string } } } },
    object
  >('mutation { createProject(input: { name: "p" }) { created { project { id } firstKey { secret } } } }');
  return { id: createProject.created.project.id, key: createProject.created.firstKey.secret };
}

async function newThread(
  key: string,
  input: { title?: string; metadata?: object; messages?: { content: { text: string }[] }[] } = {},
): Promise<string> {
  const { createThread } = await skein.query(CreateThreadDocument, { input }, key);
  return createThread.thread!.id;
}

async function newAssistant(key: string, input: { name?: string; description?: string } = {}): Promise<string> {
  const { createAssistant } = await skein.query(
    CreateAssistantDocument,
    { input: { model: 'offline', ...input } },
    key,
  );
  return createAssistant.assistant!.id;
}

/** A completed run. */
async function newRun(key: string, assistantId: string, threadId: string): Promise<string> {
  const { startRun } = await skein.query(
    StartRunDocument,
    { input: { assistantId, threadId, additionalMessages: [{ content: [{ text: 'say hi' }] }] } },
    key,
  );
  const { id } = startRun.run!;
  for await (const { runEvents } of skein.follow(FollowRunDocument, { runId: id }, key))
    expect(runEvents.cursor).toBeTruthy();
  return id;
}

async function newFile({ id: projectId }: Project): Promise<string> {
  const id = mintId('File');
  await rows.query(
    `insert into file (id, project_id, filename, bytes, content_type, sha256, purpose, created_at, storage_key)
     values ($1, $2, 'f', 1, 'text/plain', '0', 'USER_DATA', now(), $1)`,
    [id, projectId],
  );
  return id;
}

async function times<Value>(count: number, make: (i: number) => Promise<Value>): Promise<Value[]> {
  const values: Value[] = [];
  for (let i = 0; i < count; i++) values.push(await make(i));
  return values;
}

describe.each([
  ['threads', (project: Project, size: number) => times(size, () => newThread(project.key))],
  ['assistants', (project: Project, size: number) => times(size, () => newAssistant(project.key))],
  ['files', (project: Project, size: number) => times(size, () => newFile(project))],
] as const)('a list of %s', (field, fill) => {
  test.each(SIZES)('of %i is the same from both ends, in both orders and by pages of any size', async (size) => {
    const project = await newProject();
    const ids = await fill(project, size);
    const reader = createReader(skein, project.key, field);
    for (const order of ORDERS) {
      const expected = order === 'ASC' ? ids : ids.toReversed();
      for (const backward of [false, true])
        for (const by of [7, 20, 100]) expect(await reader.walk(by, order, backward)).toEqual(expected);
      expect((await reader.page({ order })).nodes.map(({ id }) => id)).toEqual(expected.slice(0, 20));
    }
    expect((await reader.page({})).nodes.map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 20));
    expect(await reader.page({ first: 0 })).toMatchObject({
      nodes: [],
      pageInfo: { hasNextPage: size > 0, hasPreviousPage: false },
    });
    expect(await reader.page({ last: 0 })).toMatchObject({
      nodes: [],
      pageInfo: { hasNextPage: false, hasPreviousPage: size > 0 },
    });
  });
});

test.each(SIZES)('the %i messages of a thread are the same from both ends and in both orders', async (size) => {
  const { key } = await newProject();
  const id = await newThread(key, {
    messages: Array.from({ length: size }, (_, i) => ({ content: [{ text: `${i}` }] })),
  });
  const reader = createReader(skein, key, 'messages', { type: 'Thread', id });
  const all = (await reader.page({ first: 100, order: 'ASC' })).nodes.map((node) => node.id);
  expect(all).toHaveLength(size);
  for (const order of ORDERS) {
    const expected = order === 'ASC' ? all : all.toReversed();
    for (const backward of [false, true])
      for (const by of [7, 20, 100]) expect(await reader.walk(by, order, backward)).toEqual(expected);
  }
  expect((await reader.page({})).nodes.map((node) => node.id)).toEqual(all.toReversed().slice(0, 20));
});

describe('a walk through a list that changes', () => {
  test.each(ORDERS)(
    'in %s order skips and repeats nothing, whatever is made or deleted, even what the cursor stood on',
    async (order) => {
      const { key } = await newProject();
      const ids = await times(12, () => newThread(key));
      if (order === 'DESC') ids.reverse();
      const reader = createReader(skein, key, 'threads');
      const remove = (id: string) => skein.query(DeleteThreadDocument, { input: { threadId: id } }, key);
      const { nodes, pageInfo } = await reader.page({ first: 4, order });
      expect(nodes.map(({ id }) => id)).toEqual(ids.slice(0, 4));

      const newest = await newThread(key);
      await remove(ids[0]!);
      await remove(ids[3]!); // the cursor's
      await remove(ids[5]!);
      const rest = [...ids.slice(4, 5), ...ids.slice(6), ...(order === 'ASC' ? [newest] : [])];
      const next = await reader.page({ first: 100, order, after: pageInfo.endCursor });
      expect(next.nodes.map(({ id }) => id)).toEqual(rest);
      const back = await reader.page({ last: 100, order, before: next.pageInfo.startCursor });
      expect(back.nodes.map(({ id }) => id)).toEqual([...(order === 'DESC' ? [newest] : []), ...ids.slice(1, 3)]);
      expect(back.pageInfo).toMatchObject({ hasPreviousPage: false, hasNextPage: true });
    },
  );

  test('of messages goes on behind one that was deleted, and finds those that came meanwhile', async () => {
    const { key } = await newProject();
    const threadId = await newThread(key, {
      messages: Array.from({ length: 6 }, (_, i) => ({ content: [{ text: `${i}` }] })),
    });
    const reader = createReader(skein, key, 'messages', { type: 'Thread', id: threadId });
    const { edges } = await reader.page({ order: 'ASC' });
    const remove = (messageId: string) =>
      skein.raw(
        'mutation ($input: DeleteMessageInput!) { deleteMessage(input: $input) { deletedId } }',
        { input: { messageId } },
        key,
      );
    await remove(edges[2]!.node.id);
    await remove(edges[3]!.node.id);
    const { createMessage } = await skein.query(
      CreateMessageDocument,
      { input: { threadId, content: [{ text: 'new' }] } },
      key,
    );
    const { nodes } = await reader.page({ order: 'ASC', after: edges[2]!.cursor });
    expect(nodes).toEqual([edges[4]!.node, edges[5]!.node, { id: createMessage.message!.id }]);
  });
});

describe('lists below other objects', () => {
  test('are those of their own parent, also when many parents are asked at once', async () => {
    const { key } = await newProject();
    const assistants = await times(2, () => newAssistant(key));
    const threads = await times(3, (i) =>
      newThread(key, { messages: Array.from({ length: i }, () => ({ content: [{ text: 'x' }] })) }),
    );
    const runs = await times(6, (i) => newRun(key, assistants[i % 2]!, threads[i % 3]!));
    const { data, errors } = await skein.raw(
      `query ($threads: [ID!]!, $assistants: [ID!]!, $runs: [ID!]!) {
        threads: nodes(ids: $threads) { id ... on Thread { runs(first: 1) { nodes { id } pageInfo { hasNextPage } } messages(last: 2, order: ASC) { nodes { thread { id } } pageInfo { hasPreviousPage } } } }
        assistants: nodes(ids: $assistants) { ... on Assistant { runs(order: ASC) { nodes { id } } } }
        runs: nodes(ids: $runs) { id ... on Run { steps { nodes { run { id } } } messages { nodes { run { id } } } } }
      }`,
      { threads, assistants, runs },
      key,
    );
    expect(errors).toBeUndefined();
    expect(data!.threads).toEqual(
      threads.map((id, i) => ({
        id,
        runs: { nodes: [{ id: runs[i + 3] }], pageInfo: { hasNextPage: true } },
        messages: { nodes: [{ thread: { id } }, { thread: { id } }], pageInfo: { hasPreviousPage: true } },
      })),
    );
    expect(data!.assistants).toEqual(
      [0, 1].map((i) => ({ runs: { nodes: runs.filter((_, j) => j % 2 === i).map((id) => ({ id })) } })),
    );
    expect(data!.runs).toEqual(
      runs.map((id) => ({ id, steps: { nodes: [{ run: { id } }] }, messages: { nodes: [{ run: { id } }] } })),
    );
    for (const [field, parent] of [
      ['runs', { type: 'Thread', id: threads[0]! }],
      ['runs', { type: 'Assistant', id: assistants[0]! }],
    ] as const) {
      const expected = field === 'runs' && parent.type === 'Thread' ? [runs[0], runs[3]] : [runs[0], runs[2], runs[4]];
      for (const backward of [false, true])
        expect(await createReader(skein, key, field, parent).walk(1, 'ASC', backward)).toEqual(expected);
    }
  });
});

describe('filters', () => {
  test('find threads by a part of the title, in any case, with % and _ as they stand', async () => {
    const { key } = await newProject();
    const titles = ['Alpha one', 'ALPHA 100%', 'beta a_b', 'beta axb', 'back\\slash'];
    const ids = await times(titles.length, (i) => newThread(key, { title: titles[i]! }));
    await newThread(key);
    const reader = createReader(skein, key, 'threads');
    const found = async (filter: object) =>
      (await reader.page({ filter, order: 'ASC' })).nodes.map(({ id }) => ids.indexOf(id));
    expect(await found({ search: 'alpha' })).toEqual([0, 1]);
    expect(await found({ search: '%' })).toEqual([1]);
    expect(await found({ search: 'a_b' })).toEqual([2]);
    expect(await found({ search: '\\' })).toEqual([4]);
    expect(await found({ search: 'nothing like it' })).toEqual([]);
    expect(await found({ search: '' })).toEqual([0, 1, 2, 3, 4, -1]);
    expect((await reader.page({ filter: { search: 'beta' }, first: 1, order: 'ASC' })).pageInfo.hasNextPage).toBe(true);
  });

  test('find threads by pairs of their metadata, together with the title', async () => {
    const { key } = await newProject();
    const ids = [
      await newThread(key, { title: 'x', metadata: { user: '1', kind: 'a' } }),
      await newThread(key, { title: 'y', metadata: { user: '1', kind: 'b' } }),
      await newThread(key, { title: 'x', metadata: { user: '2' } }),
    ];
    const found = async (filter: object) =>
      (await createReader(skein, key, 'threads').page({ filter, order: 'ASC' })).nodes.map(({ id }) => ids.indexOf(id));
    expect(await found({ metadata: { user: '1' } })).toEqual([0, 1]);
    expect(await found({ metadata: { user: '1', kind: 'b' } })).toEqual([1]);
    expect(await found({ metadata: { user: '1' }, search: 'x' })).toEqual([0]);
    expect(await found({ metadata: {} })).toEqual([0, 1, 2]);
    expect(await found({})).toEqual([0, 1, 2]);
  });

  test('find runs by status, assistant and thread, all of which must fit', async () => {
    const { key } = await newProject();
    const [one, two] = await times(2, () => newAssistant(key));
    const [here, there] = await times(2, () => newThread(key));
    const ids = [await newRun(key, one!, here!), await newRun(key, two!, here!), await newRun(key, one!, there!)];
    const reader = createReader(skein, key, 'runs');
    const found = async (filter: object) =>
      (await reader.page({ filter, order: 'ASC' })).nodes.map(({ id }) => ids.indexOf(id));
    expect(await found({ status: ['COMPLETED'] })).toEqual([0, 1, 2]);
    expect(await found({ status: ['FAILED', 'QUEUED'] })).toEqual([]);
    expect(await found({ status: [] })).toEqual([]);
    expect(await found({ assistantId: one })).toEqual([0, 2]);
    expect(await found({ threadId: here })).toEqual([0, 1]);
    expect(await found({ threadId: here, assistantId: one, status: ['COMPLETED', 'FAILED'] })).toEqual([0]);
    const { pageInfo } = await reader.page({ filter: { assistantId: one }, first: 1, order: 'ASC' });
    expect(pageInfo.hasNextPage).toBe(true);
    expect(
      (await reader.page({ filter: { assistantId: one }, order: 'ASC', after: pageInfo.endCursor })).nodes,
    ).toEqual([{ id: ids[2] }]);
  });

  test('find assistants by a part of the name or the description', async () => {
    const { key } = await newProject();
    const ids = [
      await newAssistant(key, { name: 'Weather frog' }),
      await newAssistant(key, { name: 'x', description: 'knows the WEATHER' }),
      await newAssistant(key),
    ];
    const found = async (search: string) =>
      (await createReader(skein, key, 'assistants').page({ search, order: 'ASC' })).nodes.map(({ id }) =>
        ids.indexOf(id),
      );
    expect(await found('weather')).toEqual([0, 1]);
    expect(await found('frog')).toEqual([0]);
    expect(await found('%')).toEqual([]);
  });
});
