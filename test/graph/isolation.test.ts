import { getNamedType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateMessageDocument, FollowThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { createSchema } from '../../src/schema.ts';
import { type RawAnswer, startSkein, type TestSkein } from '../skein.ts';
import {
  ADMIN_ONLY,
  MUTATIONS,
  OTHER_CODES,
  QUERIES,
  REFUSED,
  STIRRED,
  SUBSCRIPTIONS,
  type Tries,
} from './isolation-cases.ts';
import { isNothing, outcomeOf } from './outcome.ts';
import { type FilledProject, fillProject } from './project.ts';
import { openRows, type Rows } from './rows.ts';
import { everything, fieldsFrom, idPlaces } from './schema-walk.ts';
import { createStranger, idsIn, type Kind, rootOf, type Stranger } from './stranger.ts';
import { argsOf, idsOf, placesOf, swap } from './swap.ts';

const schema = createSchema();
const TRIES: Record<Kind, Tries> = { query: QUERIES, mutation: MUTATIONS, subscription: SUBSCRIPTIONS };
const kinds = Object.keys(TRIES) as Kind[];

let skein: TestSkein;
let rows: Rows;
/** Whose things must stay their own, and who comes with a key of another project. */
let theirs: FilledProject;
let mine: FilledProject;
let stranger: Stranger;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
  theirs = await fillProject(skein, rows, 'CANARY');
  mine = await fillProject(skein, rows, 'bravo');
  const secrets = [...idsIn(await rows.dumpOf(theirs.projectId)), theirs.word];
  stranger = createStranger({ skein, schema, key: mine.key, secrets });
});

afterAll(async () => {
  await rows.close();
  await skein.close();
});

const swapped = (kind: Kind, name: string, table = TRIES[kind]) =>
  swap(schema, kind, name, table[name]!(mine), table[name]!(theirs));

describe('the cases', () => {
  test.each(kinds)('know every %s of the graph', (kind) => {
    const missing = 'a new root field needs a case in test/graph/isolation-cases.ts';
    expect(Object.keys(TRIES[kind]).sort(), missing).toEqual(Object.keys(rootOf(schema, kind).getFields()).sort());
  });

  test('put an id at every place of the graph that takes one, in every mutation that has the place', () => {
    const missing = 'a new place for an id needs one in test/graph/isolation-cases.ts';
    const tried = (kind: Kind, name: string) =>
      [TRIES[kind], kind === 'mutation' ? REFUSED : {}].flatMap((table) =>
        (table[name]?.(mine) ?? []).flatMap((args) =>
          idsOf(schema, kind, name, argsOf(kind, args)).map(({ place }) => place),
        ),
      );
    const all = kinds.flatMap((kind) => Object.keys(TRIES[kind]).flatMap((name) => tried(kind, name)));
    expect([...new Set(all)].sort(), missing).toEqual(idPlaces(schema));
    for (const name of Object.keys(MUTATIONS))
      expect([...new Set(tried('mutation', name))].sort(), `${name}: ${missing}`).toEqual(placesOf(schema, name));
  });
});

describe('reading', () => {
  test.each(Object.keys(QUERIES))("%s answers with what is the own project's", async (name) => {
    for (const args of QUERIES[name]!(mine)) {
      // All that a node can be, two objects deep, is broader than an operation may be: one kind at a time goes deeper below.
      const answer = await stranger.ask('query', name, args, name.startsWith('node') ? 1 : 2);
      expect(answer.errors, JSON.stringify(answer.errors?.[0])).toBeUndefined();
      expect(
        isNothing(answer.data![name]),
        `${name} ${JSON.stringify(args)} finds nothing, so that it proves nothing`,
      ).toBe(false);
    }
  });

  test.each(Object.keys(QUERIES))('%s finds nothing by the ids and words of another project', async (name) => {
    for (const { args } of swapped('query', name)) {
      const answer = await stranger.ask('query', name, args, 1);
      expect(answer.errors, JSON.stringify(answer)).toBeUndefined();
      expect(isNothing(answer.data?.[name], true), JSON.stringify(answer)).toBe(true);
    }
    for (const args of QUERIES[name]!(theirs)) await stranger.ask('query', name, args, 1);
  });

  test('every field that can be reached from a query is asked for on every kind of object', async () => {
    const asked = new Set<string>(stranger.asked);
    for (const { name } of schema.getPossibleTypes(schema.getType('Node') as never)) {
      for (const args of QUERIES.node!(mine)) {
        const below = everything(schema, schema.getType(name)!, 3, { asked });
        const answer = await skein.raw(
          `query ($id: ID!) { node(id: $id) { ... on ${name} ${below} } }`,
          args,
          mine.key,
        );
        expect(answer.errors).toBeUndefined();
        stranger.check(answer, {});
      }
    }
    const reachable = fieldsFrom(schema, [rootOf(schema, 'query')]);
    expect(reachable.length).toBeGreaterThan(150);
    expect(reachable.filter((field) => !asked.has(field))).toEqual([]);
  });

  test("the cursors of another project's lists open nothing of theirs", async () => {
    let lists = 0;
    for (const type of Object.values(schema.getTypeMap())) {
      if (!isObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (!getNamedType(field.type).name.endsWith('Connection')) continue;
        lists++;
        const ids = ({ assistantId, threadId, runId, storeId, batchId }: FilledProject): Record<string, string> => ({
          Assistant: assistantId,
          Thread: threadId,
          Run: runId,
          VectorStore: storeId,
          VectorStoreFileBatch: batchId,
        });
        const page = async (project: FilledProject, args: string): Promise<RawAnswer> => {
          const list = `${field.name}${args} { edges { cursor node { id } } nodes { id } pageInfo { startCursor endCursor } }`;
          const id = ids(project)[type.name];
          if (type !== schema.getQueryType() && !id)
            throw new Error(`${type.name}.${field.name}: say in test/graph/isolation.test.ts whose list this is`);
          return skein.raw(
            id ? `{ node(id: "${id}") { ... on ${type.name} { ${list} } } }` : `{ ${list} }`,
            {},
            project.key,
          );
        };
        const cursor = /"startCursor":"([^"]+)"/.exec(JSON.stringify(await page(theirs, '(first: 1)')))?.[1];
        expect(cursor, `${type.name}.${field.name} of the other project is empty`).toBeDefined();
        for (const args of [`first: 100, after: "${cursor}"`, `last: 100, before: "${cursor}"`]) {
          for (const order of ['ASC', 'DESC']) stranger.check(await page(mine, `(${args}, order: ${order})`), {});
        }
      }
    }
    expect(lists).toBeGreaterThanOrEqual(9);
  });
});

describe('following', () => {
  /** What moves in a project, for subscriptions that say nothing before. */
  const stir = (name: string, projects: FilledProject[]) =>
    STIRRED[name] &&
    (async () => {
      for (const project of projects) await skein.query(STIRRED[name]!(project), {}, project.key);
    });

  test.each(Object.keys(SUBSCRIPTIONS))("%s begins with what is the own project's", async (name) => {
    for (const args of SUBSCRIPTIONS[name]!(mine)) {
      for (const { data, errors } of await stranger.follow(name, args, stir(name, [mine]))) {
        expect(errors).toBeUndefined();
        expect(data?.[name]).toBeTruthy();
      }
    }
  });

  test.each(Object.keys(STIRRED))('%s tells nothing of what moves in another project', async (name) => {
    const words = ({ word }: FilledProject) => SUBSCRIPTIONS[name]!({ ...mine, word });
    for (const args of [...words(mine), ...words(theirs)]) {
      // Theirs first: what is told is of the own one.
      const answers = await stranger.follow(name, args, stir(name, [theirs, theirs, mine]));
      for (const answer of answers) expect(JSON.stringify(answer)).toContain(mine.threadId);
    }
  });

  const naming = Object.keys(SUBSCRIPTIONS).filter((name) => !STIRRED[name]);
  test.each(naming)('%s tells nothing of another project, by socket and by SSE', async (name) => {
    const tries = swapped('subscription', name);
    expect(tries.length).toBeGreaterThan(0);
    for (const { args } of tries) {
      for (const { data, errors } of await stranger.follow(name, args)) {
        expect(data ?? null).toBeNull();
        expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['NOT_FOUND']);
      }
    }
    const cursors = SUBSCRIPTIONS[name]!(theirs).flatMap((args) => ('after' in args ? [args.after] : []));
    // Hints without a cursor have none to go on from.
    if (cursors.length === 0) return;
    expect(cursors).toHaveLength(1);
    for (const { errors } of await stranger.follow(name, { ...SUBSCRIPTIONS[name]!(mine)[0], after: cursors[0] })) {
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['UNKNOWN_CURSOR']);
    }
  });

  test('what happens in another project does not show in the own thread', async () => {
    const follow = skein.follow(FollowThreadDocument, { threadId: mine.threadId }, mine.key);
    await follow.next();
    for (const { threadId, key } of [theirs, mine]) {
      const { createMessage } = await skein.query(
        CreateMessageDocument,
        { input: { threadId, content: [{ text: threadId }] } },
        key,
      );
      expect(createMessage.userErrors).toEqual([]);
    }
    const { value } = await follow.next();
    stranger.check({ status: 200, data: value }, {});
    expect(value.threadEvents).toMatchObject({ __typename: 'MessageCreated', message: { text: mine.threadId } });
    await follow.return?.();
  });
});

describe('writing', () => {
  test.each(Object.keys(MUTATIONS))('%s with ids of another project is refused and changes nothing', async (name) => {
    const before = await rows.dump();
    for (const { args, places } of [
      ...swapped('mutation', name),
      ...(REFUSED[name] ? swapped('mutation', name, REFUSED) : []),
    ]) {
      const answer = await stranger.ask('mutation', name, args, 1);
      const [code, ...objects] = outcomeOf(name, answer);
      const expected = ADMIN_ONLY.includes(name)
        ? ['FORBIDDEN']
        : ['NOT_FOUND', ...places.flatMap((place) => OTHER_CODES[place] ?? [])];
      expect(expected, JSON.stringify({ args, answer })).toContain(code);
      expect(objects).toEqual([]);
    }
    expect(await rows.dump()).toBe(before);
  });

  test.each(Object.keys(MUTATIONS))(
    '%s with ids of the own project is done, and changes nothing of the other',
    async (name) => {
      const before = await rows.dumpOf(theirs.projectId);
      for (const tried of MUTATIONS[name]!(mine)) {
        const answer = await stranger.ask('mutation', name, { input: tried }, 1);
        const [code, ...objects] = outcomeOf(name, answer);
        expect(code, JSON.stringify(answer)).toBe(ADMIN_ONLY.includes(name) ? 'FORBIDDEN' : undefined);
        expect(objects.length > 0, 'something was made or changed').toBe(!code);
      }
      expect(await rows.dumpOf(theirs.projectId)).toBe(before);
    },
  );
});
