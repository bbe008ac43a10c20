import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { besides } from '../besides.ts';
import { TEST_DATABASE_URL } from '../database.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type Answer, jsonWith, operation, send } from './send.ts';
import { waitFor } from './wait-for.ts';

const VERSION = '{ viewer { version } }';
const LIMIT = 100_000;
let skein: TestSkein;

beforeAll(async () => {
  skein = await startSkein({ MAX_BODY_BYTES: String(LIMIT), ALLOWED_HOSTS: 'skein.example' });
});
afterAll(() => skein.close());

const post = (body: string | string[], headers: Record<string, string> = {}): Promise<Answer> =>
  send(skein.url, { body, headers: { ...jsonWith(skein.key), ...headers } });
const codes = ({ json }: Answer) => json.errors?.map(({ extensions }) => extensions.code);

describe('a request without a good key', () => {
  const wrong: [string, Record<string, string>][] = [
    ['no authorization', {}],
    ['an unknown key', { authorization: 'Bearer sk-skein-unknown' }],
    ['another scheme', { authorization: 'Basic c2tlaW46c2tlaW4=' }],
    ['a bare key', { authorization: 'sk-skein-unknown' }],
    ['an empty key', { authorization: 'Bearer ' }],
  ];
  test.each(wrong)('is answered with 401 and UNAUTHENTICATED: %s', async (_what, headers) => {
    const answer = await send(skein.url, {
      body: operation(VERSION),
      headers: { 'content-type': 'application/json', ...headers },
    });
    expect(answer.status).toBe(401);
    expect(codes(answer)).toEqual(['UNAUTHENTICATED']);
    expect(answer.json.data).toBeUndefined();
  });

  test('learns nothing of the schema', async () => {
    for (const query of ['{ viewer { versio } }', '{ viewer {', '{ __schema { types { name } } }']) {
      const answer = await send(skein.url, { body: operation(query), headers: { 'content-type': 'application/json' } });
      expect(codes(answer)).toEqual(['UNAUTHENTICATED']);
      expect(answer.text).not.toMatch(/version|Viewer/);
    }
  });
});

describe('a Host header', () => {
  test.each(['evil.example', 'evil.example:4000', '127.0.0.1.evil.example', 'localhost.evil.example', '2130706433'])(
    'that is foreign is refused: %s',
    async (host) => {
      for (const path of ['/graphql', '/health/live', '/']) {
        const answer = await send(skein.url, { path, headers: { host, accept: 'text/html' } });
        expect(answer.status).toBe(421);
        expect(codes(answer)).toEqual(['FOREIGN_HOST']);
      }
    },
  );

  test.each(['localhost', 'LOCALHOST:1', '127.0.0.1:4000', '[::1]:4000', 'skein.example', 'Skein.Example:443'])(
    'that is ours is answered: %s',
    async (host) => {
      expect((await post(operation(VERSION), { host })).status).toBe(200);
    },
  );
});

describe('pages of other origins', () => {
  const ask = (origin: string, url = skein.url) =>
    send(url, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });

  test.each(['http://localhost:3000', 'https://localhost', 'http://127.0.0.1:5173', 'http://[::1]:8080'])(
    'may use the server from this machine: %s',
    async (origin) => {
      const preflight = await ask(origin);
      expect(preflight.status).toBe(204);
      expect(preflight.headers['access-control-allow-origin']).toBe(origin);
      expect(preflight.headers['access-control-allow-headers']).toMatch(/authorization/);
      expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
      const answer = await post(operation(VERSION), { origin });
      expect(answer.headers['access-control-allow-origin']).toBe(origin);
      expect(answer.headers['access-control-expose-headers']).toMatch(/x-request-id/);
      expect(answer.headers.vary).toMatch(/origin/i);
    },
  );

  test.each(['http://evil.example', 'https://localhost.evil.example', 'null', 'file://'])(
    'may not from elsewhere: %s',
    async (origin) => {
      for (const { headers } of [await ask(origin), await post(operation(VERSION), { origin })]) {
        expect(headers['access-control-allow-origin']).toBeUndefined();
        expect(headers.vary).toMatch(/origin/i);
      }
    },
  );

  test('are told why they are refused when their key is not good', async () => {
    const answer = await post(operation(VERSION), { origin: 'http://localhost:3000', authorization: 'Bearer no' });
    expect(answer.status).toBe(401);
    expect(answer.headers['access-control-allow-origin']).toBe('http://localhost:3000');
  });

  test('are those of CORS_ORIGINS where it is set', async () => {
    const other = await startSkein({ CORS_ORIGINS: 'https://app.example, https://two.example' });
    try {
      for (const [origin, allowed] of [
        ['https://app.example', 'https://app.example'],
        ['https://two.example', 'https://two.example'],
        ['http://localhost:3000', undefined],
        ['https://app.example.evil.example', undefined],
      ] as const) {
        expect((await ask(origin, other.url)).headers['access-control-allow-origin']).toBe(allowed);
      }
    } finally {
      await other.close();
    }
  });
});

describe('a body over MAX_BODY_BYTES', () => {
  const large = (bytes: number) => operation(`${VERSION} #${'x'.repeat(bytes)}`);
  const framings: [string, () => string | string[]][] = [
    ['with its length', () => large(LIMIT)],
    ['in chunks, without its length', () => large(LIMIT).match(/.{1,9000}/g)!],
    ['of 10 MB with its length', () => large(10_000_000)],
    ['of 10 MB in chunks', () => large(10_000_000).match(/.{1,60000}/g)!],
  ];
  test.each(framings)('is answered with 413 and PAYLOAD_TOO_LARGE: %s', async (_what, body) => {
    const answer = await post(body());
    expect(answer.status).toBe(413);
    expect(codes(answer)).toEqual(['PAYLOAD_TOO_LARGE']);
    expect(answer.json.errors![0]!.message).toContain(String(LIMIT));
    expect((await post(operation(VERSION))).status).toBe(200);
  });

  test('leaves its connection usable or closes it', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const headers = jsonWith(skein.key);
      expect((await send(skein.url, { body: large(LIMIT), headers, agent })).status).toBe(413);
      expect((await send(skein.url, { body: operation(VERSION), headers, agent })).status).toBe(200);
    } finally {
      agent.destroy();
    }
  });

  test('is not refused one byte below', async () => {
    const around = large(0).length;
    expect((await post(large(LIMIT - around))).status).toBe(200);
    expect((await post(large(LIMIT - around + 1))).status).toBe(413);
  });
});

describe('a malformed request gets a JSON error with a code', () => {
  const two = 'query A { viewer { version } } query B { viewer { version } }';
  const cases: [string, string, Record<string, string>, number, string][] = [
    ['broken JSON', '{bad', {}, 400, 'BAD_REQUEST'],
    ['an empty body', '', {}, 400, 'BAD_REQUEST'],
    ['a text', '"x"', {}, 400, 'BAD_REQUEST'],
    ['a batch', `[${operation(VERSION)}]`, {}, 400, 'BAD_REQUEST'],
    ['no query', '{}', {}, 200, 'BAD_REQUEST'],
    ['a query that is no text', '{"query":5}', {}, 400, 'BAD_REQUEST'],
    ['variables that are a list', operation(VERSION, { variables: [1] }), {}, 400, 'BAD_REQUEST'],
    ['an empty query', operation(''), {}, 200, 'GRAPHQL_PARSE_FAILED'],
    ['a query with a syntax error', operation('{ viewer {'), {}, 200, 'GRAPHQL_PARSE_FAILED'],
    ['a query of a million tokens', operation(`{ ${'a '.repeat(40_000)} }`), {}, 200, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', operation('{ viewer { versio } }'), {}, 200, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'an unknown field, to a client of the newer media type',
      operation('{ viewer { versio } }'),
      { accept: 'application/graphql-response+json' },
      400,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['an unknown operationName', operation(two, { operationName: 'C' }), {}, 400, 'OPERATION_RESOLUTION_FAILURE'],
    ['two operations and no operationName', operation(two), {}, 400, 'OPERATION_RESOLUTION_FAILURE'],
    ['a missing variable', operation('query A($id: ID!) { run(id: $id) { id } }'), {}, 200, 'BAD_USER_INPUT'],
    ['another content type', operation(VERSION), { 'content-type': 'text/plain' }, 415, 'BAD_REQUEST'],
    ['a form that is none', 'a=b', { 'content-type': 'multipart/form-data; boundary=x' }, 400, 'BAD_REQUEST'],
  ];
  test.each(cases)('%s', async (_what, body, headers, status, code) => {
    const answer = await post(body, headers);
    expect(codes(answer)).toEqual([code]);
    expect(answer.status).toBe(status);
    expect(Object.keys(answer.json.errors![0]!.extensions)).toEqual(['code']);
    expect(answer.json.errors![0]!.message).toMatch(/^[A-Z].{10}/);
  });

  const gets: [string, string, string, number, string][] = [
    [
      'a mutation by GET',
      'GET',
      `?query=${encodeURIComponent('mutation { deleteThread(input: { threadId: "x" }) { deletedId } }')}`,
      405,
      'BAD_REQUEST',
    ],
    ['another method', 'PUT', '', 405, 'BAD_REQUEST'],
    ['GET without a query', 'GET', '', 200, 'BAD_REQUEST'],
  ];
  test.each(gets)('%s', async (_what, method, search, status, code) => {
    const answer = await send(skein.url, {
      method,
      path: `/graphql${search}`,
      headers: { authorization: `Bearer ${skein.key}` },
    });
    expect([answer.status, codes(answer)]).toEqual([status, [code]]);
  });

  test('an unknown path', async () => {
    const answer = await send(skein.url, { path: '/graphq' });
    expect([answer.status, codes(answer)]).toEqual([404, ['NOT_FOUND']]);
  });
});

test('queries come by GET as well', async () => {
  const path = `/graphql?query=${encodeURIComponent(VERSION)}`;
  const answer = await send(skein.url, { path, headers: { authorization: `Bearer ${skein.key}` } });
  expect(answer.json.data).toEqual({ viewer: { version: '0.1.0' } });
});

describe('the request id', () => {
  test("is the caller's own, or one that the server makes", async () => {
    expect((await post(operation(VERSION), { 'x-request-id': 'mine-1.2:3' })).headers['x-request-id']).toBe(
      'mine-1.2:3',
    );
    for (const wrong of ['a b', 'x'.repeat(101), '<script>', '']) {
      expect((await post(operation(VERSION), { 'x-request-id': wrong })).headers['x-request-id']).toMatch(
        /^req_[\w-]{12}$/,
      );
    }
  });

  test('is all that a caller sees of a fault of ours', async () => {
    const client = besides(skein.database);
    await client.connect();
    await client.query('alter table thread rename to thread_away');
    try {
      const answer = await post(operation('{ threads { nodes { id } } }'), { 'x-request-id': 'fault-1' });
      expect(codes(answer)).toEqual(['INTERNAL']);
      expect(answer.json.errors![0]!.extensions.requestId).toBe('fault-1');
      expect(answer.text).not.toMatch(/thread_away|relation|does not exist|prisma|select|node_modules|stack/i);
    } finally {
      await client.query('alter table thread_away rename to thread');
      await client.end();
    }
  });

  test('is what a caller gets when even the key cannot be checked', async () => {
    const client = besides(skein.database);
    await client.connect();
    await client.query('alter table api_key rename to api_key_away');
    try {
      // A key that was just seen is believed for a moment, so this is one that was not.
      const answer = await post(operation(VERSION), { authorization: 'Bearer never-seen', 'x-request-id': 'fault-2' });
      expect([answer.status, codes(answer)]).toEqual([500, ['INTERNAL']]);
      expect(answer.json.errors![0]!.extensions.requestId).toBe('fault-2');
      expect(answer.text).not.toMatch(/api_key|relation/);
    } finally {
      await client.query('alter table api_key_away rename to api_key');
      await client.end();
    }
  });
});

describe('health', () => {
  test('is live and ready, without a key', async () => {
    const live = await send(skein.url, { path: '/health/live' });
    expect([live.status, JSON.parse(live.text)]).toEqual([200, { status: 'ok' }]);
    const ready = await send(skein.url, { path: '/health/ready' });
    const using = { search: expect.any(String), embeddings: expect.any(String) };
    expect([ready.status, JSON.parse(ready.text)]).toEqual([200, { status: 'ok', using }]);
  });

  // The embedded database cannot be gone while its process is there.
  if (TEST_DATABASE_URL) {
    test('is live but not ready while the database is gone, and says why', async () => {
      const lost = await startSkein();
      try {
        await lost.database.dispose();
        const answer = await waitFor('not ready', async () => {
          const ready = await send(lost.url, { path: '/health/ready' });
          return ready.status === 503 ? ready : null;
        });
        expect(JSON.parse(answer.text)).toEqual({
          status: 'not ready',
          reasons: { database: expect.stringMatching(/^It does not answer: /) },
        });
        expect((await send(lost.url, { path: '/health/live' })).status).toBe(200);
      } finally {
        await lost.skein.close();
      }
    });
  }
});
