import { getNamedType, type GraphQLNamedType, isInputObjectType, isObjectType } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSchema } from '../../src/schema.ts';
import { type RawAnswer, startSkein, type TestSkein } from '../skein.ts';
import { ADMIN_ONLY, MUTATIONS, OTHER_CODES, QUERIES, REFUSED, SUBSCRIPTIONS } from './isolation-cases.ts';
import { type FilledProject, fillProject } from './project.ts';
import { openRows, type Rows } from './rows.ts';
import { everything, fieldsFrom, type IdAt, idPlaces, idsIn } from './schema-walk.ts';
import { createStranger, fieldOf, type Kind, rootOf, type Stranger } from './stranger.ts';

const schema = createSchema();
const tries = { query: QUERIES, mutation: MUTATIONS, subscription: SUBSCRIPTIONS };
const kinds = Object.keys(tries) as Kind[];

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
  stranger = createStranger(skein, schema, mine.key, theirs, await rows.dumpOf(theirs.projectId));
});

afterAll(async () => {
  await rows.close();
  await skein.close();
});

const argsIds = (kind: Kind, name: string, args: object): IdAt[] =>
  fieldOf(schema, kind, name).args.flatMap((arg) =>
    [...idsIn(arg.type, args[arg.name as keyof object], `${rootOf(schema, kind).name}.${name}(${arg.name}:)`)].map((at) => ({
      ...at,
      put: (id: string) => ({ ...args, [arg.name]: at.put(id) }),
    })),
  );
const argsOf = (kind: Kind, tried: object): object => (kind === 'mutation' ? { input: tried } : tried);

/** Everything that is tried, once with each of the other project's ids in the place of the stranger's own, and once with all. */
function swapped(kind: Kind, name: string, table = tries[kind]): { args: object; places: string[] }[] {
  return table[name]!(mine).flatMap((tried, i) => {
    const own = argsIds(kind, name, argsOf(kind, tried));
    const all = argsOf(kind, table[name]!(theirs)[i]!);
    const foreign = argsIds(kind, name, all);
    const one = own.map(({ place, put }, j) => ({ args: put(foreign[j]!.id) as object, places: [place] }));
    return [...one, ...(own.length > 1 ? [{ args: all, places: own.map(({ place }) => place) }] : [])];
  });
}

describe('the cases', () => {
  test.each(kinds)('know every %s of the graph', (kind) => {
    const missing = 'a new root field needs a case in test/graph/isolation-cases.ts';
    expect(Object.keys(tries[kind]).sort(), missing).toEqual(Object.keys(rootOf(schema, kind).getFields()).sort());
  });

  test('put an id at every place of the graph that takes one, in every mutation that has the place', () => {
    const missing = 'a new place for an id needs one in test/graph/isolation-cases.ts';
    const tried = (kind: Kind, name: string) =>
      [tries[kind], kind === 'mutation' ? REFUSED : {}].flatMap((table) =>
        (table[name]?.(mine) ?? []).flatMap((args) => argsIds(kind, name, argsOf(kind, args)).map(({ place }) => place)),
      );
    const all = kinds.flatMap((kind) => Object.keys(tries[kind]).flatMap((name) => tried(kind, name)));
    expect([...new Set(all)].sort(), missing).toEqual(idPlaces(schema));
    for (const name of Object.keys(MUTATIONS)) expect([...new Set(tried('mutation', name))].sort(), `${name}: ${missing}`).toEqual(placesOf(name));
  });
});

function placesOf(mutation: string): string[] {
  const reached = new Set<string>();
  const visit = (type: GraphQLNamedType): void => {
    if (!isInputObjectType(type) || reached.has(type.name)) return;
    reached.add(type.name);
    for (const field of Object.values(type.getFields())) visit(getNamedType(field.type));
  };
  for (const arg of fieldOf(schema, 'mutation', mutation).args) visit(getNamedType(arg.type));
  return idPlaces(schema).filter((place) => reached.has(place.split('.')[0]!));
}

describe('reading', () => {
  test.each(Object.keys(QUERIES))('%s answers with what is the own project\'s', async (name) => {
    for (const args of QUERIES[name]!(mine)) {
      const answer = await stranger.ask('query', name, args);
      expect(answer.errors, JSON.stringify(answer.errors?.[0])).toBeUndefined();
      expect(isNothing(answer.data![name]), `${name} ${JSON.stringify(args)} finds nothing, so that it proves nothing`).toBe(name === 'viewer' ? false : false);
    }
  });

  test.each(Object.keys(QUERIES))('%s finds nothing by the ids and words of another project', async (name) => {
    for (const { args } of swapped('query', name)) {
      const answer = await stranger.ask('query', name, args, 1);
      expect(isNothing(answer.data?.[name], true), JSON.stringify(answer)).toBe(true);
    }
    for (const args of QUERIES[name]!(theirs)) await stranger.ask('query', name, args, 1);
  });

  test('every field that can be reached from a query is asked for on every kind of object', async () => {
    const asked = new Set<string>(stranger.asked);
    for (const { name } of schema.getPossibleTypes(schema.getType('Node') as never)) {
      for (const args of QUERIES.node!(mine)) {
        const below = everything(schema, schema.getType(name)!, 2, asked);
        const answer = await skein.raw(`query ($id: ID!) { node(id: $id) { ... on ${name} ${below} } }`, args, mine.key);
        expect(answer.errors).toBeUndefined();
        stranger.check(answer, {});
      }
    }
    const reachable = fieldsFrom(schema, [rootOf(schema, 'query')]);
    expect(reachable.length).toBeGreaterThan(150);
    expect(reachable.filter((field) => !asked.has(field))).toEqual([]);
  });

  test('the cursors of another project\'s lists open nothing of theirs', async () => {
    let lists = 0;
    for (const type of Object.values(schema.getTypeMap())) {
      if (!isObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (!getNamedType(field.type).name.endsWith('Connection')) continue;
        lists++;
        const ids = ({ assistantId, threadId, runId }: FilledProject): Record<string, string> => ({ Assistant: assistantId, Thread: threadId, Run: runId });
        const page = async (project: FilledProject, args: string): Promise<RawAnswer> => {
          const list = `${field.name}${args} { edges { cursor node { id } } nodes { id } pageInfo { startCursor endCursor } }`;
          const id = ids(project)[type.name];
          if (type !== schema.getQueryType() && !id) throw new Error(`${type.name}.${field.name}: say in test/graph/isolation.test.ts whose list this is`);
          return skein.raw(id ? `{ node(id: "${id}") { ... on ${type.name} { ${list} } } }` : `{ ${list} }`, {}, project.key);
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

describe('writing', () => {
  test.each(Object.keys(MUTATIONS))('%s with ids of another project is refused and changes nothing', async (name) => {
    const before = await rows.dump();
    for (const { args, places } of [...swapped('mutation', name), ...(REFUSED[name] ? swapped('mutation', name, REFUSED) : [])]) {
      const answer = await stranger.ask('mutation', name, args, 1);
      const [code, ...objects] = outcomeOf(name, answer);
      const expected = ADMIN_ONLY.includes(name) ? ['FORBIDDEN'] : ['NOT_FOUND', ...places.flatMap((place) => OTHER_CODES[place] ?? [])];
      expect(expected, JSON.stringify({ args, answer })).toContain(code);
      expect(objects).toEqual([]);
    }
    expect(await rows.dump()).toBe(before);
  });

  test.each(Object.keys(MUTATIONS))('%s with ids of the own project is done, and changes nothing of the other', async (name) => {
    const before = await rows.dumpOf(theirs.projectId);
    for (const tried of MUTATIONS[name]!(mine)) {
      const answer = await stranger.ask('mutation', name, { input: tried }, 1);
      const [code, ...objects] = outcomeOf(name, answer);
      expect(code, JSON.stringify(answer)).toBe(ADMIN_ONLY.includes(name) ? 'FORBIDDEN' : undefined);
      expect(objects).toHaveLength(code ? 0 : 1);
    }
    expect(await rows.dumpOf(theirs.projectId)).toBe(before);
  });
});

interface Payload {
  [field: string]: unknown;
}

/** The code of a refusal, if it is one, and what was made or changed. */
function outcomeOf(mutation: string, { data, errors }: RawAnswer): [code: string | undefined, ...objects: unknown[]] {
  const payload = data?.[mutation] as Payload | undefined;
  const refusals = Object.entries(payload ?? {}).find(([field]) => field.endsWith('_userErrors'))?.[1] as Payload[] | undefined;
  const refusal = Object.entries(refusals?.[0] ?? {}).find(([field]) => field.endsWith('_code'))?.[1] as string | undefined;
  const objects = Object.entries(payload ?? {}).filter(([field, value]) => value !== null && /_/.test(field) && !/^__|_userErrors$/.test(field));
  return [errors?.[0]?.extensions?.code ?? refusal, ...objects];
}

/** null, a list of nulls, or a page without an object. */
function isNothing(value: unknown, nullsOnly = false): boolean {
  if (value == null) return true;
  if (Array.isArray(value)) return nullsOnly ? value.some((item) => item === null) : value.every((item) => item === null);
  const nodes = Object.entries(value).find(([field]) => field.endsWith('Connection_nodes'))?.[1] as unknown[] | undefined;
  return nodes?.length === 0;
}
