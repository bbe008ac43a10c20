import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { fillProject } from './project.ts';
import { openRows, type Rows } from './rows.ts';
import { type Ground, WRONG_INPUTS } from './wrong-inputs.ts';
import { WRONG_REQUESTS } from './wrong-requests.ts';

let skein: TestSkein;
let rows: Rows;
let ground: Ground;
/** Every row there is: what must stand there still after each refusal. */
let before: string;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
  ground = { mine: await fillProject(skein, rows, 'mine'), foreign: await fillProject(skein, rows, 'foreign') };
});

beforeEach(async () => {
  before = await rows.dump();
});

afterAll(async () => {
  await rows.close();
  await skein.close();
});

interface Payload {
  userErrors: { __typename: string; code: string; message: string; path: string[] | null }[];
}

describe('a mutation refuses with a user error, and stores nothing,', () => {
  test.each(WRONG_INPUTS)('%s (%s)', async (_sentence, mutation, input, code, path) => {
    const document = `mutation ($input: ${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input!) {
      ${mutation}(input: $input) { userErrors { __typename code message path } } }`;
    const answer = await skein.raw(document, { input: input(ground) }, ground.mine.key);
    expect(answer.errors).toBeUndefined();
    const { userErrors } = answer.data![mutation] as Payload;
    expect(userErrors.map((error) => `${error.code} ${error.path?.join('.')}`)).toContain(`${code} ${path}`);
    for (const { message } of userErrors) {
      expect(message).toMatch(/^['A-Z].{10,}/);
      expect(message).not.toMatch(/^Invalid input|ZodError|\[object|undefined/);
      expect(message.length).toBeLessThan(500);
    }
    expect(await rows.dump()).toBe(before);
  });
});

describe('a request is refused with a code, and stores nothing,', () => {
  test.each(WRONG_REQUESTS)('%s (%s)', async (_sentence, code, send) => {
    const answer = await send({ url: `${skein.url}/graphql`, ...ground });
    expect(Object.values(answer.data ?? {})).not.toContainEqual(expect.anything());
    expect(answer.errors?.map(({ extensions }) => extensions?.code)).toContain(code);
    for (const { message } of answer.errors!) expect(message).toMatch(/\S{3}/);
    expect(await rows.dump()).toBe(before);
  });
});

test.each([
  '',
  'nonsense',
  'thread_',
  'thread_\0',
  `thread_${'x'.repeat(10_000)}`,
  '%',
  "' or true --",
  'thread_0000000000000000000000000l',
  '😀',
  '\ud800',
])('an id that names nothing, %j, is answered with null', async (id) => {
  const document = `query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } assistant(id: $id) { id } thread(id: $id) { id } run(id: $id) { id } file(id: $id) { id } }`;
  const answer = await skein.raw(document, { id }, ground.mine.key);
  expect(answer.errors).toBeUndefined();
  expect(answer.data).toEqual({ node: null, nodes: [null], assistant: null, thread: null, run: null, file: null });
});

test('the tables hold at least 60 wrong inputs, none of them twice', () => {
  const sentences = [...WRONG_INPUTS, ...WRONG_REQUESTS].map(([sentence]) => sentence);
  expect(new Set(sentences).size).toBe(sentences.length);
  expect(sentences.length).toBeGreaterThanOrEqual(60);
});
