import { getNamedType, type GraphQLObjectType, isLeafType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENT_VIEW } from '../../src/auth/client-view.ts';
import { createSchema } from '../../src/schema.ts';
import { type RawAnswer, startSkein, type TestSkein } from '../skein.ts';
import { addClientThread, type ClientProject } from './client-project.ts';
import { CLIENTS, everyId, MUTATIONS, QUERIES, STIRRED, SUBSCRIPTIONS, type Tries } from './isolation-cases.ts';
import { isNothing, outcomeOf } from './outcome.ts';
import { type FilledProject, fillProject } from './project.ts';
import { openRows, type Rows } from './rows.ts';
import { everything, fieldsFrom } from './schema-walk.ts';
import { createStranger, fieldOf, idsIn, type Kind, rootOf, type Stranger } from './stranger.ts';
import { argsOf } from './swap.ts';

const schema = createSchema();
const TRIES: Record<Kind, Tries> = { query: QUERIES, mutation: MUTATIONS, subscription: SUBSCRIPTIONS };
const kinds = Object.keys(TRIES) as Kind[];
const rootsWith = (kind: Kind, needs: (scope: 'READ' | 'RUN' | null) => boolean): string[] =>
  Object.entries(CLIENTS[kind]).flatMap(([name, scope]) => (needs(scope) ? [name] : []));

const codes = ({ errors }: RawAnswer) => (errors ?? []).map(({ extensions }) => extensions?.code);

const shown = new Map(Object.entries(CLIENT_VIEW).map(([type, fields]) => [type, fields.trim().split(/\s+/)]));
const isShown = (place: string): boolean => {
  const [type, field] = place.split('.') as [string, string];
  return shown.get(type)?.includes(field) === true;
};

let skein: TestSkein;
let rows: Rows;
/** The project that the token is of, and all of it that is not the token's. */
let theirs: FilledProject;
let client: ClientProject;
let page: Stranger;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
  theirs = await fillProject(skein, rows, 'CANARY');
  client = await addClientThread(skein, rows, theirs);
  page = createStranger({ skein, schema, key: client.token, secrets: client.secrets, asks: isShown });
}, 60_000);
afterAll(async () => {
  await rows.close();
  await skein.close();
});

test('every field of the roots is decided on, for client tokens too', () => {
  for (const kind of kinds) {
    const missing = 'a new root field needs a decision in test/graph/isolation-cases.ts: CLIENTS';
    expect(Object.keys(CLIENTS[kind]).sort(), missing).toEqual(Object.keys(rootOf(schema, kind).getFields()).sort());
    const root = rootOf(schema, kind);
    expect([...shown.get(root.name)!].sort(), 'src/auth/client-view.ts shows what is decided').toEqual(
      rootsWith(kind, (scope) => scope !== null).sort(),
    );
  }
});

describe('what is not for client tokens', () => {
  const never = kinds.flatMap((kind) => rootsWith(kind, (scope) => scope === null).map((name) => [kind, name] as const));

  test.each(never)('%s %s is FORBIDDEN, whatever it names, and nothing is done', async (kind, name) => {
    const before = await rows.dump();
    for (const project of [client.ours, theirs]) {
      for (const tried of TRIES[kind][name]!(project)) {
        const answer = await ask(kind, name, argsOf(kind, tried), client.token);
        expect([answer.status, codes(answer), answer.data?.[name] ?? null]).toEqual([403, ['FORBIDDEN'], null]);
      }
    }
    expect(await rows.dump()).toBe(before);
  });

  test('is FORBIDDEN where it hangs on what is, and leaves the rest of the answer', async () => {
    let refused = 0;
    const { ours } = client;
    const roads: Record<string, [road: string, id: string]> = {
      Thread: ['', ours.threadId],
      Message: ['', ours.messageId],
      Run: ['', ours.runId],
      RunStep: ['', ours.stepId],
      Assistant: ['... on Run { assistant', ours.runId],
      File: ['... on Message { content { ... on TextContent { annotations { ... on FilePath { file', ours.messageId],
      FileSearchResult: [
        '... on RunStep { details { ... on ToolCallsDetails { toolCalls { ... on FileSearchToolCall { results',
        ours.stepId,
      ],
    };
    for (const [name, [road, id]] of Object.entries(roads)) {
      const type = schema.getType(name) as GraphQLObjectType;
      for (const field of Object.values(type.getFields())) {
        if (isShown(`${name}.${field.name}`)) continue;
        const below = isLeafType(getNamedType(field.type)) ? '' : '{ __typename }';
        const inner = `${road || `... on ${name}`} { ${field.name} ${below} }${' }'.repeat(road.split('{').length - 1)}`;
        const answer = await skein.raw(`{ node(id: "${id}") { id ${inner} } }`, {}, client.token);
        expect([name, field.name, answer.status, [...new Set(codes(answer))]]).toEqual([
          name,
          field.name,
          200,
          ['FORBIDDEN'],
        ]);
        page.check(answer, {});
        refused += 1;
      }
    }
    console.log(`${refused} fields of ${Object.keys(roads).length} types are refused`);
    expect(refused).toBeGreaterThan(25);
  });

  test('is what no road leads to: what clients see leads to nothing else', () => {
    for (const [name, fields] of shown) {
      const type = schema.getType(name);
      if (!isObjectType(type)) continue;
      for (const field of fields) {
        const to = getNamedType(type.getFields()[field]!.type);
        if (isObjectType(to)) expect([...shown.keys()], `${name}.${field}`).toContain(to.name);
      }
    }
    for (const name of ['VectorStore', 'VectorStoreFile', 'ApiKey', 'Project', 'Viewer', 'ToolResources', 'FunctionTool'])
      expect(shown.has(name)).toBe(false);
  });
});

describe('reading with a client token', () => {
  const reads = rootsWith('query', (scope) => scope !== null);

  test.each(reads)('%s shows what hangs on its threads, and nothing else', async (name) => {
    const { ours } = client;
    const own = [ours.threadId, ours.messageId, ours.runId, ours.stepId];
    const tries: Record<string, object[]> = {
      node: own.map((id) => ({ id })),
      nodes: [{ ids: own }],
      threads: [{}, { filter: { search: 'Ours' } }, { filter: { metadata: { ours: 'yes' } } }],
    };
    for (const args of tries[name] ?? QUERIES[name]!(ours)) {
      const answer = await page.ask('query', name, args, name.startsWith('node') ? 1 : 3);
      expect(answer.errors, JSON.stringify(answer.errors?.[0])).toBeUndefined();
      expect(isNothing(answer.data![name]), `${name} ${JSON.stringify(args)} finds nothing`).toBe(false);
    }
  });

  test.each(reads)('%s finds nothing by the ids and words of the rest of its project', async (name) => {
    const tries: Record<string, object[]> = {
      node: everyId(theirs).map((id) => ({ id })),
      nodes: [{ ids: everyId(theirs) }],
      threads: [{ filter: { search: theirs.word } }, { filter: { metadata: { word: theirs.word } } }],
      // What is asked for of all is of the own ones.
      runs: QUERIES.runs!(theirs).filter((args) => !/^\{\}$|status/.test(JSON.stringify(args))),
    };
    for (const args of tries[name] ?? QUERIES[name]!(theirs)) {
      const answer = await page.ask('query', name, args, 1);
      expect(answer.errors, JSON.stringify(answer)).toBeUndefined();
      expect(isNothing(answer.data?.[name]), JSON.stringify(answer)).toBe(true);
    }
    // Files and assistants that ours names are read where it names them, and not by their ids.
    if (name !== 'node') return;
    for (const id of [client.ours.assistantId, client.ours.fileId])
      expect((await page.ask('query', name, { id }, 1)).data).toEqual({ node: null });
  });

  test('every field that is shown is asked for, four objects deep, and holds nothing of the rest', async () => {
    const asked = new Set<string>(page.asked);
    const { ours } = client;
    for (const id of [ours.threadId, ours.messageId, ours.runId, ours.stepId, ours.waiting[0]!.runId]) {
      for (const name of ['Thread', 'Message', 'Run', 'RunStep']) {
        const below = everything(schema, schema.getType(name)!, 4, { asked, asks: isShown });
        const answer = await skein.raw(`query ($id: ID!) { node(id: $id) { ... on ${name} ${below} } }`, { id }, client.token);
        expect(answer.errors, JSON.stringify(answer.errors?.[0])).toBeUndefined();
        page.check(answer, {});
      }
    }
    const reachable = fieldsFrom(schema, [rootOf(schema, 'query')]).filter(isShown);
    expect(reachable.length).toBeGreaterThan(120);
    expect(reachable.filter((place) => !asked.has(place))).toEqual([]);
  });

  test('a citation opens, an image shows, for as long as the token is good, and what was only found does not', async () => {
    const { data } = await skein.raw(
      `{ node(id: "${client.ours.messageId}") { ... on Message { content { ... on TextContent { annotations {
        ... on FileCitation { source { text } file { filename url } } ... on FilePath { file { url } } } } } } } }`,
      {},
      client.token,
    );
    const [citation, link] = (data as any).node.content[0].annotations;
    expect(citation).toMatchObject({ source: { text: expect.stringMatching(/^Llamas hum/) }, file: { filename: 'llamas.md' } });
    for (const { url } of [citation.file, link.file]) expect((await fetch(url)).status).toBe(200);
  });

  test('the cursors of the whole list open nothing of it', async () => {
    for (const list of ['threads', 'runs']) {
      const read = (args: string, key: string) =>
        skein.raw(`{ ${list}${args} { nodes { id } pageInfo { startCursor endCursor hasNextPage } } }`, {}, key);
      const { data } = await read('(first: 100, order: ASC)', theirs.key);
      const { startCursor, endCursor } = (data as any)[list].pageInfo;
      for (const args of [`first: 100, after: "${startCursor}"`, `last: 100, before: "${endCursor}"`]) {
        for (const order of ['ASC', 'DESC']) {
          const answer = await read(`(${args}, order: ${order})`, client.token);
          expect(answer.errors).toBeUndefined();
          page.check(answer, {});
        }
      }
    }
  });
});

describe('following with a client token', () => {
  const follows = rootsWith('subscription', (scope) => scope !== null);
  const stir = (name: string, projects: FilledProject[]) =>
    STIRRED[name] &&
    (async () => {
      for (const project of projects) await skein.query(STIRRED[name]!(project), {}, theirs.key);
    });

  test.each(follows)('%s tells of its threads, by socket and by SSE', async (name) => {
    for (const args of SUBSCRIPTIONS[name]!(client.ours)) {
      // What moves in the rest of the project is not told of, so that what is told first is of the own thread.
      for (const { data, errors } of await page.follow(name, args, stir(name, [theirs, theirs, client.ours]))) {
        expect(errors).toBeUndefined();
        expect(data?.[name]).toBeTruthy();
        expect([...idsIn(JSON.stringify(data))].filter((id) => id.startsWith('thread_'))).not.toContain(theirs.threadId);
      }
    }
  });

  test.each(follows.filter((name) => !STIRRED[name]))('%s of another thread is NOT_FOUND', async (name) => {
    const deleted = await rows.query<{ id: string }>(
      `insert into thread (id, project_id, metadata, tool_resources, created_at, updated_at, deleted_at)
select 'thread_00000000000000000000000000', project_id, '{}', '{}', now(), now(), now() from thread where id = $1
on conflict (id) do update set deleted_at = now() returning id`,
      [theirs.threadId],
    );
    const after = { threadId: deleted[0]!.id, after: '00000000000000000000000000.0' };
    for (const args of [...SUBSCRIPTIONS[name]!(theirs), ...(name === 'threadEvents' ? [after] : [])]) {
      for (const { data, errors } of await page.follow(name, args)) {
        expect(data ?? null).toBeNull();
        expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['NOT_FOUND']);
      }
    }
  });
});

describe('running with a client token', () => {
  const runs = rootsWith('mutation', (scope) => scope === 'RUN');
  /** Inputs of a page, made of a project's ids. */
  const INPUTS: Tries = {
    startRun: ({ assistantId, threadId }) => [
      { assistantId, threadId, additionalMessages: [{ content: [{ text: 'Hello' }] }], ifBusy: 'ENQUEUE' },
    ],
    submitToolOutputs: MUTATIONS.submitToolOutputs!,
    cancelRun: ({ waiting }) => [{ runId: waiting.at(-1)!.runId }],
  };

  test('is tried for everything that it is for', () => expect(Object.keys(INPUTS).sort()).toEqual(runs.sort()));

  test.each(Object.keys(INPUTS))('%s needs the scope RUN', async (name) => {
    const before = await rows.dump();
    for (const input of INPUTS[name]!(client.ours)) {
      const answer = await ask('mutation', name, { input }, client.reader);
      expect([answer.status, codes(answer)]).toEqual([403, ['FORBIDDEN']]);
      expect(answer.errors![0]!.message).toMatch(/scope RUN/);
    }
    expect(await rows.dump()).toBe(before);
  });

  test.each(Object.keys(INPUTS))('%s with ids of the rest of the project is NOT_FOUND, and changes nothing', async (name) => {
    const before = await rows.dump();
    const mixed: FilledProject[] = [
      theirs,
      { ...client.ours, threadId: theirs.threadId, waiting: theirs.waiting },
      ...(name === 'startRun' ? [{ ...client.ours, assistantId: theirs.assistantId }] : []),
    ];
    for (const project of mixed) {
      for (const input of INPUTS[name]!(project)) {
        for (const more of name === 'startRun' ? [{}, { idempotencyKey: 'mine' }] : [{}]) {
          const [code, ...objects] = outcomeOf(name, await page.ask('mutation', name, { input: { ...input, ...more } }, 1));
          expect([code, objects]).toEqual(['NOT_FOUND', []]);
        }
      }
    }
    expect(await rows.dump()).toBe(before);
  });

  test.each(['startRun', 'submitToolOutputs', 'cancelRun'])('%s in its thread is done', async (name) => {
    for (const input of INPUTS[name]!(client.ours)) {
      const answer = await page.ask('mutation', name, { input }, 2);
      const [code, ...objects] = outcomeOf(name, answer);
      // A run whose calls are answered may be over before it can be cancelled.
      expect(code === undefined || (name === 'cancelRun' && code === 'WRONG_RUN_STATUS'), JSON.stringify(answer)).toBe(true);
      if (code === undefined) expect(objects.length).toBeGreaterThan(0);
    }
  });
});

/** A root field with nothing but the type of its answer. */
async function ask(kind: Kind, name: string, args: object, key: string): Promise<RawAnswer> {
  const field = fieldOf(schema, kind, name);
  const given = field.args.filter((arg) => arg.name in args);
  const list = (items: string[]) => (items.length > 0 ? `(${items.join(', ')})` : '');
  const heads = list(given.map((arg) => `$${arg.name}: ${arg.type}`));
  const passed = list(given.map((arg) => `${arg.name}: $${arg.name}`));
  const document = `${kind}${heads} { ${name}${passed} { __typename } }`;
  if (kind !== 'subscription') return skein.raw(document, args, key);
  const response = await fetch(`${skein.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: document, variables: args }),
  });
  const [, answer] = /^data: ?(\{.*)$/m.exec(await response.text())!;
  return { status: response.status, ...(JSON.parse(answer!) as object) };
}
