import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CreateUploadDocument, FileWithLinkDocument } from '../../src/generated/graphql/graphql.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { waitFor } from '../server/wait-for.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { codeOf, http, linkOf, newUpload, onDisk, put, sha256 } from './stage.ts';
import { inChunks } from './storage-contract.ts';

const LIMIT = 3_000_000;
let skein: TestSkein;
let rows: Rows;

beforeAll(async () => {
  skein = await startSkein({
    MAX_FILE_BYTES: String(LIMIT),
    MAX_BODY_BYTES: '100000',
    MAX_PROJECT_FILE_BYTES: '50000000',
  });
  rows = await openRows(skein);
});
afterAll(async () => {
  await rows.close();
  await skein.close();
});

/** What is there of files in the rows and on the disk. Uploads that were announced are none. */
const all = async () => [
  await rows.query('select id from file order by id'),
  await rows.query('select * from loose_bytes'),
  await onDisk(skein),
];

test('bytes that are put to the link become a file', async () => {
  const data = randomBytes(2_500_000);
  const input = { filename: 'C:\\a\\data.bin', purpose: 'USER_DATA', expiresAfterSeconds: 3600 };
  const reply = await put(await newUpload(skein, input), data);
  expect(reply.status).toBe(201);
  expect(reply.json).toEqual({
    id: expect.stringMatching(/^file_/),
    filename: 'data.bin',
    bytes: data.length,
    contentType: 'application/octet-stream',
    sha256: sha256(data),
    purpose: 'USER_DATA',
    createdAt: expect.any(String),
    expiresAt: expect.any(String),
  });
  expect(Date.parse(String(reply.json.expiresAt)) - Date.parse(String(reply.json.createdAt))).toBe(3_600_000);
  const { url, ...file } = (await skein.query(FileWithLinkDocument, { id: String(reply.json.id) })).file!;
  expect(file).toEqual(reply.json);
  expect((await http(url)).body).toEqual(data);
  expect(await rows.query('select * from loose_bytes')).toEqual([]);
});

test('the link is good for one file: the second PUT is told its id', async () => {
  const url = await newUpload(skein);
  const first = await put(url, Buffer.from('first'));
  const before = await all();
  const second = await put(url, Buffer.from('second'));
  expect(second.status).toBe(409);
  expect(second.json.errors![0]!.extensions).toEqual({ code: 'CONFLICT', fileId: first.json.id });
  expect(second.json.errors![0]!.message).toContain(String(first.json.id));
  expect(await all()).toEqual(before);
});

test('of two PUTs at once one makes the file, and the other leaves nothing', async () => {
  const url = await newUpload(skein);
  const [, , before] = await all();
  const replies = await Promise.all(['one', 'two', 'three'].map((word) => put(url, inChunks(Buffer.from(word), 1))));
  expect(replies.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  const [, loose, after] = await all();
  expect(loose).toEqual([]);
  expect(after!.length).toBe(before!.length + 1);
});

describe('a PUT is refused, and leaves nothing,', () => {
  let before: unknown[];
  beforeEach(async () => {
    before = await all();
  });

  test.each<[what: string, change: (url: string) => string, status: number, code: string]>([
    [
      'by a changed signature',
      (url) => url.replace(/signature=./, (text) => `signature=${text.endsWith('A') ? 'B' : 'A'}`),
      403,
      'FORBIDDEN',
    ],
    ['without a signature', (url) => url.replace(/&signature=.*/, ''), 403, 'FORBIDDEN'],
    [
      'with a later expiry',
      (url) => url.replace(/expires=(\d+)/, (_all, at) => `expires=${Number(at) + 1}`),
      403,
      'FORBIDDEN',
    ],
    [
      'to the upload of another',
      (url) => url.replace(/.\?/, (end) => (end[0] === '0' ? '1?' : '0?')),
      403,
      'FORBIDDEN',
    ],
    ['to a file', (url) => url.replace('/uploads/', '/files/'), 405, 'METHOD_NOT_ALLOWED'],
    ['without anything', (url) => url.replace(/\?.*/, ''), 403, 'FORBIDDEN'],
  ])('%s', async (_what, change, status, code) => {
    const reply = await put(change(await newUpload(skein)), Buffer.from('x'));
    expect(reply.status).toBe(status);
    expect(codeOf(reply)).toBe(code);
    expect(reply.json.errors![0]!.message).toMatch(/^[A-Z].{10,}\.$/);
    expect(await all()).toEqual(before);
  });

  test('when its upload is forgotten', async () => {
    const url = await newUpload(skein);
    await rows.query('delete from upload where id = $1', [/uploads\/(\w+)/.exec(url)![1]]);
    expect((await put(url, Buffer.from('x'))).status).toBe(404);
    expect(await all()).toEqual(before);
  });

  test('by GET, and with another method', async () => {
    const url = await newUpload(skein);
    for (const method of ['GET', 'POST', 'DELETE']) expect((await http(url, { method })).status).toBe(405);
  });

  test('when it says that it is too large, before any of it is read', async () => {
    const url = await newUpload(skein);
    // Nothing of the body is ever sent: an answer that waits for it would not come.
    const { port } = new URL(skein.url);
    const socket = connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    const path = url.slice(skein.url.length);
    socket.write(`PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`);
    await waitFor('the answer', () => text.includes('PAYLOAD_TOO_LARGE'));
    expect(text).toMatch(/^HTTP\/1.1 413 [^]*MAX_FILE_BYTES/);
    socket.destroy();
    expect(await all()).toEqual(before);
  });

  test('when it asks first whether it may come, and is told no', async () => {
    const url = await newUpload(skein);
    const told: string[] = [];
    const reply = await new Promise<number>((resolve, reject) => {
      const { port } = new URL(skein.url);
      const socket = connect(Number(port), '127.0.0.1');
      const path = url.slice(skein.url.length);
      socket.write(`PUT ${path}x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        told.push(String(chunk));
        resolve(Number(/^HTTP\/1.1 (\d+)/.exec(String(chunk))?.[1]));
        socket.destroy();
      });
    });
    expect(reply).toBe(403);
    expect(told.join('')).not.toContain('100 Continue');
    const yes = await put(url, Buffer.from('hello'), { expect: '100-continue' });
    expect(yes.status).toBe(201);
  });

  test.each([
    ['any', {}, 413],
    ['this one', { bytes: 10 }, 422],
  ])('when it comes in chunks that are more than %s may have', async (_which, input, status) => {
    const url = await newUpload(skein, input);
    const reply = await put(url, inChunks(Buffer.alloc(LIMIT + 1), 65_536));
    expect(reply.status).toBe(status);
    expect(await all()).toEqual(before);
    expect((await put(url, Buffer.alloc(10))).status).toBe(201);
  });

  test.each<[what: string, input: object, words: RegExp]>([
    ['is not of the size', { bytes: 4 }, /said to have 4 bytes|made for 4 bytes/],
    ['is not of the hash', { sha256: sha256('x') }, /SHA-256/],
  ])('when it %s that was announced, and may be sent again', async (_what, input, words) => {
    const url = await newUpload(skein, input);
    for (const body of [Buffer.from('hello'), inChunks(Buffer.from('hello'), 1), inChunks(Buffer.from('he'), 1)]) {
      const reply = await put(url, body);
      expect(reply.status).toBe(422);
      expect(reply.json.errors![0]!.message).toMatch(words);
    }
    expect(await all()).toEqual(before);
    expect((await put(url, Buffer.from('bytes' in input ? 'four' : 'x'))).status).toBe(201);
  });

  test('when it is no image and is for VISION', async () => {
    const url = await newUpload(skein, { purpose: 'VISION', contentType: 'image/png' });
    const reply = await put(url, Buffer.from('not a picture'));
    expect(reply.status).toBe(415);
    expect(codeOf(reply)).toBe('UNSUPPORTED_FILE');
    expect(await all()).toEqual(before);
  });

  test('when it is compressed on its way', async () => {
    const reply = await put(await newUpload(skein), Buffer.from('x'), { 'content-encoding': 'gzip' });
    expect(reply.status).toBe(415);
    expect(await all()).toEqual(before);
  });

  test('under a foreign Host', async () => {
    const reply = await put(await newUpload(skein), Buffer.from('x'), { host: 'evil.example' });
    expect(reply.status).toBe(421);
  });
});

test('an upload that breaks off leaves nothing, and may be begun again', async () => {
  const url = await newUpload(skein);
  const before = await all();
  const breaking = async function* () {
    yield randomBytes(1_000_000);
    await waitFor('bytes on the disk', async () => (await onDisk(skein)).some((name) => name.endsWith('.part')));
    throw new Error('the sender has gone');
  };
  await expect(put(url, breaking())).rejects.toThrow('the sender has gone');
  await waitFor('it to be cleared away', async () => JSON.stringify(await all()) === JSON.stringify(before));
  expect((await put(url, Buffer.from('again'))).status).toBe(201);
});

test('a server that ends in the middle of an upload takes it back', async () => {
  const own = await startSkein();
  try {
    const url = await newUpload(own);
    const endless = async function* () {
      for (let i = 0; i < 10_000; i++) yield randomBytes(10_000);
    };
    const sent = put(url, endless()).catch((error: Error) => error);
    await waitFor('bytes on the disk', async () => (await onDisk(own)).length > 0);
    await own.restart();
    expect(await sent).toBeInstanceOf(Error);
    expect(await onDisk(own)).toEqual([]);
    const left = await openRows(own);
    expect(await left.query('select 1 from loose_bytes union all select 1 from file')).toEqual([]);
    await left.close();
    expect((await put(url, Buffer.from('again'))).status).toBe(201);
  } finally {
    await own.close();
  }
});

test('the bytes have the last word on the type, then the upload, then the PUT', async () => {
  const typeOf = async (input: object, body: string, headers = {}) =>
    (await put(await newUpload(skein, input), Buffer.from(body), headers)).json.contentType;
  expect(await typeOf({ contentType: 'text/csv' }, 'a,b', { 'content-type': 'text/plain' })).toBe('text/csv');
  expect(await typeOf({}, 'a,b', { 'content-type': 'text/csv' })).toBe('text/csv');
  expect(await typeOf({}, 'a,b', { 'content-type': 'application/x-www-form-urlencoded' })).toBe('text/plain');
  expect(await typeOf({ contentType: 'image/png' }, '<html>')).toBe('text/html');
});

test('an idempotency key leads to the same upload, with a link that is good anew, and to its file once it is made', async () => {
  const ask = async () =>
    (await skein.query(CreateUploadDocument, { input: { filename: 'a', idempotencyKey: 'same' } })).createUpload;
  const first = await ask();
  const again = await ask();
  expect(new URL(again.uploadUrl!).pathname).toBe(new URL(first.uploadUrl!).pathname);
  const made = await put(first.uploadUrl!, Buffer.from('x'));
  const late = await put((await ask()).uploadUrl!, Buffer.from('x'));
  expect(late.json.errors![0]!.extensions.fileId).toBe(made.json.id);
});

test('the files of a project have a limit together', async () => {
  const own = await startSkein({ MAX_PROJECT_FILE_BYTES: '1000' });
  try {
    await put(await newUpload(own), Buffer.alloc(600));
    const url = await newUpload(own);
    for (const body of [Buffer.alloc(401), inChunks(Buffer.alloc(401), 100)]) {
      const reply = await put(url, body);
      expect(reply.status).toBe(413);
      expect(codeOf(reply)).toBe('QUOTA_EXCEEDED');
    }
    const { createUpload } = await own.query(CreateUploadDocument, { input: { filename: 'a', bytes: 401 } });
    expect(createUpload.userErrors.map(({ code, path }) => [code, path])).toEqual([
      ['QUOTA_EXCEEDED', ['input', 'bytes']],
    ]);
    expect((await put(url, Buffer.alloc(400))).status).toBe(201);
    expect(await onDisk(own)).toHaveLength(2);
    // At once they do not pass each other either.
    const rowsOf = await openRows(own);
    await rowsOf.query('delete from file');
    const urls = await Promise.all(Array.from({ length: 5 }, () => newUpload(own)));
    const statuses = (await Promise.all(urls.map((to) => put(to, inChunks(Buffer.alloc(300), 100))))).map(
      (r) => r.status,
    );
    expect(statuses.sort()).toEqual([201, 201, 201, 413, 413]);
    await rowsOf.close();
  } finally {
    await own.close();
  }
});

test('pages of allowed origins may PUT', async () => {
  const url = await newUpload(skein);
  const origin = 'http://localhost:3000';
  const preflight = await http(url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } });
  expect(preflight.status).toBe(204);
  expect(preflight.headers).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'PUT',
  });
  const foreign = await http(url, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
  expect(foreign.headers['access-control-allow-origin']).toBeUndefined();
});

test('links begin where the caller reaches the server, or with PUBLIC_URL', async () => {
  expect(await newUpload(skein)).toMatch(`${skein.url}/uploads/`);
  const own = await startSkein({ PUBLIC_URL: 'https://skein.example/assistants/' });
  try {
    const url = await newUpload(own);
    expect(url).toMatch('https://skein.example/assistants/uploads/upload_');
    const made = await put(url.replace('https://skein.example/assistants', own.url), Buffer.from('x'));
    expect(made.status).toBe(201);
    expect(await linkOf(own, String(made.json.id))).toMatch('https://skein.example/assistants/files/file_');
  } finally {
    await own.close();
  }
});

test('bytes pass as they are, whatever the pieces', async () => {
  const data = randomBytes(1_000_003);
  for (const size of [1_000_003, 65_537, 4099]) {
    const reply = await put(
      await newUpload(skein, { sha256: sha256(data).toUpperCase(), bytes: data.length }),
      inChunks(data, size),
    );
    expect(reply.json.sha256).toBe(createHash('sha256').update(data).digest('hex'));
  }
});
