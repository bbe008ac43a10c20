import { randomBytes } from 'node:crypto';
import { readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeleteFileDocument, FilesDocument, FileWithLinkDocument } from '../../src/generated/graphql/graphql.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { waitFor } from '../server/wait-for.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { codeOf, http, linkOf, newFile, newUpload, put, sha256 } from './stage.ts';
import { inChunks } from './storage-contract.ts';

const TEXT = 'The quick brown fox jumps over the lazy dog.';
let skein: TestSkein;
let rows: Rows;
let url: string;

beforeAll(async () => {
  skein = await startSkein();
  rows = await openRows(skein);
  ({ url } = await newFile(skein, TEXT, 'fox.txt'));
});
afterAll(async () => {
  await rows.close();
  await skein.close();
});

test('a link gives the bytes without a key, and nothing that a browser would run', async () => {
  const reply = await http(url);
  expect(reply.status).toBe(200);
  expect(String(reply.body)).toBe(TEXT);
  expect(reply.headers).toMatchObject({
    'content-type': 'text/plain',
    'content-length': String(TEXT.length),
    'content-disposition': `attachment; filename="fox.txt"; filename*=UTF-8''fox.txt`,
    'content-security-policy': "sandbox; default-src 'none'",
    'x-content-type-options': 'nosniff',
    'cache-control': 'private, no-cache',
    'accept-ranges': 'bytes',
    etag: `"${sha256(TEXT)}"`,
  });
});

test('HEAD tells of it without the bytes', async () => {
  const [head, get] = [await http(url, { method: 'HEAD' }), await http(url)];
  expect(head.status).toBe(200);
  expect(head.body.length).toBe(0);
  const { date: _a, ...same } = head.headers;
  const { date: _b, ...as } = get.headers;
  expect({ ...same, 'x-request-id': '' }).toEqual({ ...as, 'x-request-id': '' });
});

describe('a range', () => {
  test.each<[range: string, part: string, place: string]>([
    ['bytes=0-0', 'T', '0-0'],
    ['bytes=4-8', 'quick', '4-8'],
    ['bytes=40-', 'dog.', '40-43'],
    ['bytes=-4', 'dog.', '40-43'],
    ['bytes=40-999', 'dog.', '40-43'],
    ['bytes=-999', TEXT, '0-43'],
    ['BYTES= 4-8 ', 'quick', '4-8'],
  ])('%s is answered with that part', async (range, part, place) => {
    const reply = await http(url, { headers: { range } });
    expect(reply.status).toBe(206);
    expect(String(reply.body)).toBe(part);
    expect(reply.headers['content-range']).toBe(`bytes ${place}/44`);
    expect(reply.headers['content-length']).toBe(String(part.length));
  });

  test.each(['bytes=44-', 'bytes=99-100', 'bytes=-0'])('%s, where there is nothing, is refused', async (range) => {
    const reply = await http(url, { headers: { range } });
    expect(reply.status).toBe(416);
    expect(reply.headers['content-range']).toBe('bytes */44');
  });

  test.each(['bytes=', 'bytes=a-b', 'lines=1-2', 'bytes=8-4', 'bytes=0-1,4-5', '-'])(
    '%s, which cannot be read or is several, is ignored',
    async (range) => {
      const reply = await http(url, { headers: { range } });
      expect(reply.status).toBe(200);
      expect(String(reply.body)).toBe(TEXT);
    },
  );

  test('goes with If-Range while the file is the same', async () => {
    const range = 'bytes=4-8';
    const etag = `"${sha256(TEXT)}"`;
    expect((await http(url, { headers: { range, 'if-range': etag } })).status).toBe(206);
    expect((await http(url, { headers: { range, 'if-range': '"other"' } })).status).toBe(200);
  });

  test('puts a large file together again, piece by piece', async () => {
    const data = randomBytes(3_000_001);
    const made = await put(await newUpload(skein), data);
    const large = await linkOf(skein, String(made.json.id));
    const parts: Buffer[] = [];
    for (let from = 0; from < data.length; from += 700_000)
      parts.push((await http(large, { headers: { range: `bytes=${from}-${from + 699_999}` } })).body);
    expect(sha256(Buffer.concat(parts))).toBe(sha256(data));
  });
});

test('a reader that has the bytes already is told so', async () => {
  const etag = `"${sha256(TEXT)}"`;
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const reply = await http(url, { headers: { 'if-none-match': known } });
    expect([reply.status, reply.body.length]).toEqual([304, 0]);
  }
  expect((await http(url, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
});

test('an empty file is a file', async () => {
  const made = await put(await newUpload(skein), Buffer.alloc(0));
  expect(made.status).toBe(201);
  const empty = await linkOf(skein, String(made.json.id));
  expect([(await http(empty)).status, (await http(empty)).body.length]).toEqual([200, 0]);
  expect((await http(empty, { headers: { range: 'bytes=0-' } })).status).toBe(416);
});

test.each<[filename: string, disposition: string]>([
  ['a "b" \\c.txt', `filename="c.txt"; filename*=UTF-8''c.txt`],
  ['a"b.txt', `filename="a_b.txt"; filename*=UTF-8''a%22b.txt`],
  ['naïve €.txt', `filename="na_ve _.txt"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt`],
  ["it's (1)*%.txt", `filename="it's (1)*_.txt"; filename*=UTF-8''it%27s%20%281%29%2A%25.txt`],
  ['x\r\nSet-Cookie: a=b.txt', `filename="xSet-Cookie: a=b.txt"; filename*=UTF-8''xSet-Cookie%3A%20a%3Db.txt`],
])('the name %j is given as attachment', async (filename, disposition) => {
  const made = await put(await newUpload(skein, { filename }), Buffer.from('x'));
  const reply = await http(await linkOf(skein, String(made.json.id)));
  expect(reply.headers['content-disposition']).toBe(`attachment; ${disposition}`);
  expect(reply.headers['set-cookie']).toBeUndefined();
});

describe('a link is refused', () => {
  const forged: [what: string, change: (url: string) => string][] = [
    [
      'with another signature',
      (good) => good.replace(/signature=./, (text) => `signature=${text.endsWith('A') ? 'B' : 'A'}`),
    ],
    ['with a later expiry', (good) => good.replace(/expires=(\d+)/, (_all, at) => `expires=${Number(at) + 1}`)],
    ['with no query', (good) => good.replace(/\?.*/, '')],
    ['with half a signature', (good) => good.slice(0, -20)],
    ['with its expiry twice', (good) => good.replace('?', '?expires=99999999999&')],
    ['for an id that is made up', (good) => good.replace(/file_\w+/, 'file_00000000000000000000000000')],
  ];
  test.each(forged)('%s', async (_what, change) => {
    const reply = await http(change(url));
    expect(reply.status).toBe(403);
    expect(codeOf(reply)).toBe('FORBIDDEN');
    expect(reply.json.errors![0]!.message).toMatch(/Ask the graph/);
    expect(String(reply.body)).not.toContain('fox');
  });

  test('of an upload', async () => {
    const upload = await newUpload(skein);
    expect((await http(upload.replace('/uploads/', '/files/'))).status).toBe(403);
  });

  test('for anything but GET and HEAD', async () => {
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
      const reply = await http(url, { method, body: Buffer.from('x') });
      expect([reply.status, reply.headers.allow]).toEqual([405, 'GET, HEAD, OPTIONS']);
    }
    expect(String((await http(url)).body)).toBe(TEXT);
  });

  test.each(['/files/', '/files/..', '/files/%2e%2e/x', '/files/a/b', '/files//etc/passwd', '//[', '/uploads/'])(
    'at %s there is nothing',
    async (path) => {
      const socket = connect(Number(new URL(skein.url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => (text += String(chunk)));
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      await waitFor('the answer', () => text.includes('\r\n\r\n'));
      expect(text).toMatch(/^HTTP\/1.1 404 /);
      socket.destroy();
    },
  );

  test('once its time is over', async () => {
    const own = await startSkein({ FILE_URL_SECONDS: '1' });
    try {
      const file = await newFile(own, TEXT);
      expect((await http(file.url)).status).toBe(200);
      const late = await waitFor('the link to expire', async () => {
        const reply = await http(file.url);
        return reply.status === 200 ? null : reply;
      });
      expect(late.status).toBe(403);
      expect(late.json.errors![0]!.message).toMatch(/has expired/);
      expect((await http(await linkOf(own, file.id))).status).toBe(200);
    } finally {
      await own.close();
    }
  });
});

describe('a file that is gone', () => {
  test('by deletion is gone for its links, its lists and its owner', async () => {
    const file = await newFile(skein, 'short life');
    const deleted = await skein.query(DeleteFileDocument, { input: { fileId: file.id } });
    expect(deleted.deleteFile).toEqual({ deletedId: file.id, userErrors: [] });
    const reply = await http(file.url);
    expect([reply.status, codeOf(reply)]).toEqual([410, 'GONE']);
    expect((await http(file.url, { method: 'HEAD' })).status).toBe(410);
    expect((await skein.query(FileWithLinkDocument, { id: file.id })).file).toBeNull();
    const { files } = await skein.query(FilesDocument, { first: 100 });
    expect(files.nodes.map((node) => node.id)).not.toContain(file.id);
    const again = await skein.query(DeleteFileDocument, { input: { fileId: file.id } });
    expect(again.deleteFile.userErrors.map(({ code }) => code)).toEqual(['NOT_FOUND']);
    expect(await rows.query('select * from loose_bytes')).toEqual([]);
  });

  test('by its time is gone before it is removed', async () => {
    const file = await newFile(skein, 'short life', 'a.txt', { expiresAfterSeconds: 3600 });
    expect(file.expiresAt).not.toBeNull();
    await rows.query('update file set expires_at = now() where id = $1', [file.id]);
    expect((await http(file.url)).status).toBe(410);
    expect((await skein.query(FileWithLinkDocument, { id: file.id })).file).toBeNull();
    const { files } = await skein.query(FilesDocument, { first: 100 });
    expect(files.nodes.map((node) => node.id)).not.toContain(file.id);
    const { deleteFile } = await skein.query(DeleteFileDocument, { input: { fileId: file.id } });
    expect(deleteFile.userErrors.map(({ code }) => code)).toEqual(['NOT_FOUND']);
  });

  test('from the storage alone is an error of ours, not an empty file', async () => {
    const file = await newFile(skein, 'lost bytes');
    const [row] = await rows.query<{ key: string }>('select storage_key as key from file where id = $1', [file.id]);
    const { key } = row!;
    const path = join(skein.database.dataDir, 'files', key.slice(0, 2), key.slice(2, 4), key);
    await rm(path);
    const reply = await http(file.url);
    expect([reply.status, codeOf(reply)]).toEqual([500, 'INTERNAL']);
    expect(String(reply.body)).not.toContain(key);
    await writeFile(path, 'lost bytes');
    expect((await http(file.url)).status).toBe(200);
  });
});

test('a reader that leaves in the middle is no error, and others go on', async () => {
  const made = await put(await newUpload(skein), inChunks(Buffer.alloc(20_000_000), 1_000_000));
  const large = await linkOf(skein, String(made.json.id));
  const left = new AbortController();
  const response = await fetch(large, { signal: left.signal });
  await response.body!.getReader().read();
  left.abort();
  expect((await http(large)).body.length).toBe(20_000_000);
  if (process.platform !== 'linux') return; // /proc says which files are open
  await waitFor('the file to be closed', async () => {
    const held = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return !held.some((path) => path.startsWith(join(skein.database.dataDir, 'files')));
  });
});

test('links outlive their process, and are good at no other server', async () => {
  const own = await startSkein();
  try {
    expect((await http(url.replace(skein.url, own.url))).status).toBe(403);
    const file = await newFile(own, TEXT);
    await own.restart();
    expect(String((await http(file.url)).body)).toBe(TEXT);
  } finally {
    await own.close();
  }
});
