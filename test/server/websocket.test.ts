import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { connectedSocket, openSocket } from './raw-socket.ts';
import { waitFor } from './wait-for.ts';

const LIMIT = 100_000;
let skein: TestSkein;

beforeAll(async () => {
  skein = await startSkein({ MAX_BODY_BYTES: String(LIMIT) });
});
afterAll(() => skein.close());

describe('a socket without a good key', () => {
  const wrong: [string, object | undefined][] = [
    ['no parameters', undefined],
    ['an unknown key', { Authorization: 'Bearer sk-skein-unknown' }],
    ['another scheme', { Authorization: 'Basic c2tlaW46c2tlaW4=' }],
    ['a key that is no text', { Authorization: { Bearer: 'x' } }],
    ['a key under another name', { key: 'x' }],
  ];
  test.each(wrong)('is closed with 4401: %s', async (_what, payload) => {
    const socket = openSocket(skein.url);
    socket.ws.once('open', () => socket.send({ type: 'connection_init', ...(payload ? { payload } : {}) }));
    const { code, reason } = await socket.closed;
    expect(code).toBe(4401);
    expect(reason).toMatch(/key/);
    expect(socket.messages).toEqual([]);
  });

  test('cannot subscribe before it has said who it is', async () => {
    const socket = openSocket(skein.url);
    socket.ws.once('open', () =>
      socket.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { version } }' } }),
    );
    expect((await socket.closed).code).toBe(4401);
  });
});

test('a socket runs queries and answers with errors that have codes', async () => {
  const socket = await connectedSocket(skein.url, skein.key);
  const two = 'query A { viewer { version } } query B { viewer { version } }';
  const cases: [string, object, string | null][] = [
    ['good', { query: '{ viewer { version } }' }, null],
    ['chosen', { query: two, operationName: 'B' }, null],
    ['syntax', { query: '{ viewer {' }, 'GRAPHQL_PARSE_FAILED'],
    ['field', { query: '{ viewer { versio } }' }, 'GRAPHQL_VALIDATION_FAILED'],
    ['unknown', { query: two, operationName: 'C' }, 'OPERATION_RESOLUTION_FAILURE'],
    ['unnamed', { query: two }, 'OPERATION_RESOLUTION_FAILURE'],
    ['stream', { query: 'subscription { runEvents(runId: "run_0") { __typename } }' }, 'NOT_FOUND'],
  ];
  for (const [id, payload] of cases) socket.send({ id, type: 'subscribe', payload });
  for (const [id, , code] of cases) {
    const answer = await waitFor(id, () => socket.messages.find((message) => message.id === id));
    if (answer.type === 'next' && code === null) {
      expect(answer.payload).toEqual({ data: { viewer: { version: '0.1.0' } } });
      continue;
    }
    const errors = answer.type === 'error' ? answer.payload : (answer.payload as { errors: unknown }).errors;
    expect(errors).toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code }) })]);
  }
  socket.ws.close();
});

test('a socket is refused what its key may not do, without a status of HTTP', async () => {
  type Made = { createApiKey: { created: { secret: string } } };
  const made = await skein.query<Made, object>(
    'mutation { createApiKey(input: { name: "plain" }) { created { secret } } }',
  );
  const socket = await connectedSocket(skein.url, made.createApiKey.created.secret);
  socket.send({
    id: '1',
    type: 'subscribe',
    payload: { query: 'mutation { createProject(input: { name: "mine" }) { created { project { id } } } }' },
  });
  const { payload } = await socket.message('next');
  expect(payload).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
  expect(JSON.stringify(payload)).not.toContain('403');
  socket.ws.close();
});

describe('a socket that breaks the protocol is closed with a code that says why', () => {
  test.each([
    [
      'a message over MAX_BODY_BYTES',
      { id: '1', type: 'subscribe', payload: { query: `#${'x'.repeat(LIMIT)}` } },
      1009,
    ],
    ['no JSON', '{bad', 4400],
    ['an unknown type', { type: 'nothing' }, 4400],
    ['a second init', { type: 'connection_init' }, 4429],
  ] as const)('%s', async (_what, message, code) => {
    const socket = await connectedSocket(skein.url, skein.key);
    socket.send(message);
    expect((await socket.closed).code).toBe(code);
  });

  test('the subprotocol of subscriptions-transport-ws', async () => {
    const socket = openSocket(skein.url, {}, 'graphql-ws');
    expect((await socket.closed).code).not.toBe(1000);
  });
});

describe('an upgrade', () => {
  const refusal = async (headers: Record<string, string>) => {
    const { code, reason } = await openSocket(skein.url, { headers }).closed;
    expect(code).toBe(0);
    return reason;
  };

  test.each(['evil.example', '127.0.0.1.evil.example'])('for a foreign Host is refused: %s', async (host) => {
    expect(await refusal({ host })).toMatch(/421/);
  });

  test.each(['http://evil.example', 'https://localhost.evil.example', 'null'])(
    'from a foreign origin is refused: %s',
    async (origin) => {
      expect(await refusal({ origin })).toMatch(/403/);
    },
  );

  test('elsewhere than at /graphql is refused', async () => {
    const { reason } = await openSocket(`${skein.url}/elsewhere`).closed;
    expect(reason).toMatch(/404/);
  });

  test.each(['http://localhost:3000', 'http://127.0.0.1:1'])('from this machine is accepted: %s', async (origin) => {
    const socket = openSocket(skein.url, { headers: { origin } });
    await new Promise((resolve) => socket.ws.once('open', resolve));
    socket.ws.close();
    await socket.closed;
  });

  test('that is refused and reset does no harm', async () => {
    const { hostname, port } = new URL(skein.url);
    for (let time = 0; time < 20; time++) {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {}); // being reset is the point
      await new Promise((resolve) => socket.once('connect', resolve));
      socket.write(
        'GET /graphql HTTP/1.1\r\nHost: evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      );
      socket.resetAndDestroy();
    }
    expect(await skein.query('{ viewer { version } }')).toEqual({ viewer: { version: '0.1.0' } });
  });
});

test('nothing of a socket stays when it is gone', async () => {
  const socket = await connectedSocket(skein.url, skein.key);
  const { createThread } = await skein.query<{ createThread: { thread: { id: string } } }, object>(
    'mutation { createThread(input: {}) { thread { id } } }',
  );
  const query = 'subscription ($threadId: ID!) { threadEvents(threadId: $threadId) { __typename } }';
  for (const id of ['1', '2'])
    socket.send({ id, type: 'subscribe', payload: { query, variables: { threadId: createThread.thread.id } } });
  await waitFor('two followers', () => skein.skein.counts().followers === 2);
  socket.send({ id: '1', type: 'complete' });
  await waitFor('one follower', () => skein.skein.counts().followers === 1);
  socket.ws.terminate();
  await waitFor('no follower', () => skein.skein.counts().followers === 0 && skein.skein.counts().sockets === 0);
});
