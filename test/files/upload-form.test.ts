import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UploadFileDocument } from '../../src/generated/graphql/graphql.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { http, newFile, onDisk, sha256 } from './stage.ts';

const LIMIT = 200_000;
const QUERY =
  'mutation ($input: UploadFileInput!) { uploadFile(input: $input) { file { id } userErrors { code path message } } }';
let skein: TestSkein;
let rows: Rows;

beforeAll(async () => {
  skein = await startSkein({ MAX_BODY_BYTES: String(LIMIT) });
  rows = await openRows(skein);
});
afterAll(async () => {
  await rows.close();
  await skein.close();
});

interface Sent {
  operations?: unknown;
  map?: unknown;
  parts?: Record<string, string | File>;
}

const GOOD = { query: QUERY, variables: { input: { file: null } } };
const MAP = { 0: ['variables.input.file'] };
const written = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));

async function post(
  { operations = GOOD, map = MAP, parts = { 0: new File(['hello'], 'a.txt') } }: Sent,
  key: string | null = skein.key,
) {
  const form = new FormData();
  if (operations !== null) form.set('operations', written(operations));
  if (map !== null) form.set('map', written(map));
  for (const [name, part] of Object.entries(parts)) form.set(name, part);
  return postBody(form, key);
}

async function postBody(body: BodyInit, key: string | null = skein.key, headers: Record<string, string> = {}) {
  const response = await fetch(`${skein.url}/graphql`, {
    method: 'POST',
    headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...headers },
    body,
  });
  const json = (await response.json()) as {
    data?: { uploadFile: { file: { id: string } | null; userErrors: object[] } } | null;
    errors?: { message: string; extensions: { code: string } }[];
  };
  return { status: response.status, ...json };
}

test('a file that comes with the request is stored as it is', async () => {
  const data = 'a,b\n1,ü\n';
  const file = await newFile(skein, data, 'päth/to/data.csv', { purpose: 'USER_DATA', expiresAfterSeconds: 7200 });
  expect(file).toMatchObject({
    filename: 'data.csv',
    bytes: Buffer.byteLength(data),
    contentType: 'text/csv',
    sha256: sha256(data),
    purpose: 'USER_DATA',
  });
  expect(Date.parse(file.expiresAt!) - Date.parse(file.createdAt)).toBe(7_200_000);
  expect(String((await http(file.url)).body)).toBe(data);
});

test('an image for VISION is what its bytes say', async () => {
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489', 'hex');
  const file = await newFile(skein, png, 'claims-to-be.jpg', { purpose: 'VISION' });
  expect(file.contentType).toBe('image/png');
});

test('two files of one request are two files', async () => {
  const query = `mutation ($a: UploadFileInput!, $b: UploadFileInput!) {
    a: uploadFile(input: $a) { file { id sha256 } } b: uploadFile(input: $b) { file { id sha256 } } }`;
  const { data } = await skein.raw(query, { a: { file: new File(['a'], 'a') }, b: { file: new File(['b'], 'b') } });
  expect(data).toMatchObject({ a: { file: { sha256: sha256('a') } }, b: { file: { sha256: sha256('b') } } });
});

test('an idempotency key is for the same bytes under the same name', async () => {
  const send = async (content: string, name = 'a.txt') => {
    const input = { file: new File([content], name), idempotencyKey: 'one' };
    const { uploadFile } = await skein.query(UploadFileDocument, { input });
    return uploadFile.file?.id ?? uploadFile.userErrors[0]!.code;
  };
  const [first, twin] = await Promise.all([send('hello'), send('hello')]);
  expect(twin).toBe(first);
  expect(await send('hello')).toBe(first);
  expect(await send('hellO')).toBe('CONFLICT');
  expect(await send('hello', 'b.txt')).toBe('CONFLICT');
  expect(await rows.query('select * from loose_bytes')).toEqual([]);
});

describe('nothing is stored, and it is said why,', () => {
  let before: unknown;
  const all = async () => [
    await rows.query('select id from file'),
    await rows.query('select * from loose_bytes'),
    await onDisk(skein),
  ];
  beforeEach(async () => {
    before = await all();
  });

  test.each<[what: string, sent: Sent, words: RegExp]>([
    ['no operations', { operations: null }, /`operations`/],
    ['no map', { map: null }, /`map`/],
    ['operations that are no JSON', { operations: '{' }, /`operations`.*not JSON/],
    ['operations that are a batch', { operations: [GOOD] }, /batches/],
    ['operations that are null', { operations: 'null' }, /JSON object/],
    ['a map that is no JSON', { map: 'x' }, /`map`.*not JSON/],
    ['a map that is a list', { map: [['variables.input.file']] }, /JSON object/],
    ['a map of a number', { map: { 0: 1 } }, /no list of places/],
    ['a map of an empty list', { map: { 0: [] } }, /no list of places/],
    ['a map of a part that is not there', { map: { 7: ['variables.input.file'] } }, /part '7'/],
    ['a map of a part that is text', { parts: { 0: 'hello' } }, /no file of the form|cannot be read/],
    ['a place that is not there', { map: { 0: ['variables.input.nothing'] } }, /has no null/],
    ['a place that is not null', { map: { 0: ['variables.input'] } }, /has no null/],
    [
      'a place beside the variables',
      { operations: { ...GOOD, operationName: null }, map: { 0: ['operationName'] } },
      /below `variables`/,
    ],
    ['a place in the prototype', { map: { 0: ['variables.__proto__.file'] } }, /has no null/],
    ['a place that is no text', { map: { 0: [{}] } }, /has no null/],
    [
      'too many files',
      { parts: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [i, new File(['x'], 'x')])) },
      /limit exceeded/i,
    ],
  ])('of a form with %s', async (_what, sent, words) => {
    const answer = await post(sent);
    expect(answer.status).toBe(400);
    expect(answer.errors!.map(({ extensions }) => extensions.code)).toEqual(['BAD_REQUEST']);
    expect(answer.errors![0]!.message).toMatch(words);
    expect(await all()).toEqual(before);
  });

  test.each<[what: string, body: string, type: string]>([
    ['without a boundary', 'x', 'multipart/form-data'],
    [
      'that ends early',
      '--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{',
      'multipart/form-data; boundary=b',
    ],
    ['that is garbage', '\0\x01garbage', 'multipart/form-data; boundary=b'],
    ['that is empty', '', 'multipart/form-data; boundary=b'],
  ])('of a form %s', async (_what, body, type) => {
    const answer = await postBody(body, skein.key, { 'content-type': type });
    expect(answer.status).toBe(400);
    expect(answer.errors![0]!.message).toMatch(/multipart form/);
    expect(await all()).toEqual(before);
  });

  test('of a form without a good key, none of which is read', async () => {
    for (const key of [null, 'sk-skein-unknown']) {
      const answer = await post({ operations: '{' }, key);
      expect(answer.status).toBe(401);
      expect(answer.errors![0]!.extensions.code).toBe('UNAUTHENTICATED');
    }
    expect(await all()).toEqual(before);
  });

  test('of a form over MAX_BODY_BYTES, which is told of createUpload', async () => {
    const large = new File([Buffer.alloc(LIMIT)], 'large.bin');
    const whole = await post({ parts: { 0: large } });
    expect(whole.status).toBe(413);
    expect(whole.errors![0]).toMatchObject({
      extensions: { code: 'PAYLOAD_TOO_LARGE' },
      message: expect.stringMatching(/createUpload/),
    });
    const head = '--b\r\nContent-Disposition: form-data; name="0"; filename="a"\r\n\r\n';
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from(head));
        for (let i = 0; i < 40; i++) controller.enqueue(Buffer.alloc(10_000));
        controller.close();
      },
    });
    const response = await fetch(`${skein.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${skein.key}`, 'content-type': 'multipart/form-data; boundary=b' },
      body: stream,
      duplex: 'half',
    } as RequestInit);
    expect(response.status).toBe(413);
    expect(await response.text()).toMatch(/createUpload/);
    expect(await all()).toEqual(before);
  });

  test.each<[what: string, input: object, path: string[], words: RegExp]>([
    ['a purpose of tools', { purpose: 'ASSISTANTS_OUTPUT' }, ['input', 'purpose'], /made by tools/],
    ['an expiry that is too soon', { expiresAfterSeconds: 3599 }, ['input', 'expiresAfterSeconds'], /3600 to 2592000/],
    [
      'an expiry that is too late',
      { expiresAfterSeconds: 2_592_001 },
      ['input', 'expiresAfterSeconds'],
      /3600 to 2592000/,
    ],
    ['a name of 256 characters', { file: new File(['x'], 'x'.repeat(256)) }, ['input', 'file'], /too long: 256/],
    ['a name of blanks', { file: new File(['x'], '  ') }, ['input', 'file'], /nothing that could be shown/],
  ])('of a file with %s', async (_what, input, path, words) => {
    const { uploadFile } = await skein.query(UploadFileDocument, {
      input: { file: new File(['x'], 'a'), ...input } as never,
    });
    expect(uploadFile.file).toBeNull();
    expect(uploadFile.userErrors).toEqual([
      expect.objectContaining({ code: 'INVALID_INPUT', path, message: expect.stringMatching(words) }),
    ]);
    expect(await all()).toEqual(before);
  });

  test('of no image for VISION', async () => {
    const input = { file: new File(['x'], 'a.png', { type: 'image/png' }), purpose: 'VISION' as const };
    const { uploadFile } = await skein.query(UploadFileDocument, { input });
    expect(uploadFile.userErrors.map(({ code }) => code)).toEqual(['UNSUPPORTED_FILE']);
    expect(await all()).toEqual(before);
  });

  test.each([null, 'file.txt', 7, {}, { name: 'a', size: 1 }])('of %j in the place of a file', async (file) => {
    const answer = await skein.raw(QUERY, { input: { file } });
    expect(answer.errors!.map(({ extensions }) => extensions?.code)).toEqual(['BAD_USER_INPUT']);
    expect(await all()).toEqual(before);
  });
});
