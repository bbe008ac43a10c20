import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { besides } from '../besides.ts';
import { testDatabase, type TestDatabase } from '../database.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { answerOf, connectedSocket, openSocket, type RawSocket } from './raw-socket.ts';
import { jsonWith, operation, send } from './send.ts';
import { type SkeinProcess, startProcess } from './skein-process.ts';
import { waitFor } from './wait-for.ts';

vi.setConfig({ testTimeout: 180_000 });

const FOLLOW = 'subscription ($threadId: ID!) { threadEvents(threadId: $threadId) { __typename } }';
let skein: TestSkein;
let sockets: RawSocket[];

const start = async (environment: Record<string, string>) => (skein = await startSkein(environment));
beforeEach(() => void (sockets = []));
afterEach(async () => {
  for (const { ws } of sockets) ws.terminate();
  await skein?.close();
  skein = null!;
});

async function connected(key = skein.key): Promise<RawSocket> {
  const socket = await connectedSocket(skein.url, key);
  sockets.push(socket);
  return socket;
}
const refused = async (key = skein.key) => answerOf(openSocket(skein.url), key);
const open = () => skein.skein.counts().sockets;

async function newThread(): Promise<string> {
  const made = await skein.query<{ createThread: { thread: { id: string } } }, object>(
    'mutation { createThread(input: {}) { thread { id } } }',
  );
  return made.createThread.thread.id;
}

const streamOver = (threadId: string, key = skein.key) =>
  fetch(`${skein.url}/graphql`, {
    method: 'POST',
    headers: { ...jsonWith(key), accept: 'text/event-stream' },
    body: operation(FOLLOW, { variables: { threadId } }),
  });

describe('beyond MAX_CONNECTIONS', () => {
  beforeEach(() => start({ MAX_CONNECTIONS: '2' }));

  test('a socket is told to come again, and graphql-ws does', async () => {
    const first = await connected();
    await connected();
    expect(await refused()).toEqual({ code: 1013, reason: 'Too many connections (MAX_CONNECTIONS)' });
    const closes: number[] = [];
    const client = createClient({
      url: `${skein.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${skein.key}` },
      retryAttempts: Infinity,
      // What it waits between two attempts: here, for there to be room.
      async retryWait() {
        if (closes.length > 1) first.ws.close();
        await waitFor('a place', () => closes.length <= 1 || open() === 1);
      },
      on: { closed: (event) => closes.push((event as { code: number }).code) },
    });
    const answers = client.iterate({ query: '{ viewer { version } }' });
    expect(await answers.next()).toMatchObject({ value: { data: { viewer: { version: expect.any(String) } } } });
    expect(closes).toEqual([1013, 1013]);
    await client.dispose();
  });

  test('a stream over SSE is refused with 503 and when to come again; queries are answered', async () => {
    const threadId = await newThread();
    await connected();
    const stream = await streamOver(threadId);
    expect(stream.status).toBe(200);
    const response = await streamOver(threadId);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.text()).toMatch(/MAX_CONNECTIONS.*LIMIT_EXCEEDED/);
    expect(await skein.query('{ viewer { version } }')).toEqual({ viewer: { version: expect.any(String) } });
    // A stream that has ended leaves its place to another.
    await stream.body!.cancel();
    await waitFor('its follower to leave', () => skein.skein.counts().followers === 0);
    await waitFor('its place', async () => {
      const socket = openSocket(skein.url);
      sockets.push(socket);
      return (await answerOf(socket, skein.key)) === null;
    });
  });

  test('many that do not even say goodbye are refused outright with 503', async () => {
    await connected();
    await connected();
    const lines: string[] = [];
    const silent = await Promise.all(Array.from({ length: 150 }, () => upgradeInSilence((line) => lines.push(line))));
    await waitFor('all answers', () => lines.length === 150);
    const turned = lines.filter((line) => line.startsWith('HTTP/1.1 101')).length;
    const rejected = lines.filter((line) => line.startsWith('HTTP/1.1 503') && /retry-after: 5/i.test(line)).length;
    expect(turned + rejected).toBe(150);
    expect(rejected).toBeGreaterThanOrEqual(1);
    expect(turned).toBeGreaterThanOrEqual(100);
    // Those who would stay are cut off, so that the next ones are told again why.
    await waitFor('all of them to be gone', () => silent.every((socket) => socket.closed), 10_000);
    expect(await refused()).toMatchObject({ code: 1013 });
  });

  /** A peer that upgrades and then does nothing at all; `onAnswer` is given the head of the answer. */
  async function upgradeInSilence(onAnswer: (head: string) => void): Promise<Socket> {
    const { hostname, port } = new URL(skein.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {}); // being cut off is the point
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.once('data', (data: Buffer) => onAnswer(String(data)));
    const key = createHash('md5').update('silent').digest('base64');
    socket.write(
      `GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    return socket;
  }
});

describe('beyond MAX_CONNECTIONS_PER_KEY', () => {
  beforeEach(() => start({ MAX_CONNECTIONS_PER_KEY: '2' }));

  test('a socket is closed with 4429, a stream refused with 429; other keys are not touched', async () => {
    type Made = { createApiKey: { created: { secret: string } } };
    const made = await skein.query<Made, object>(
      'mutation { createApiKey(input: { name: "other" }) { created { secret } } }',
    );
    const other = made.createApiKey.created.secret;
    const threadId = await newThread();
    const first = await connected();
    await connected();
    expect(await refused()).toEqual({ code: 4429, reason: 'Too many connections of this key' });
    const response = await streamOver(threadId);
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await response.text()).toMatch(/MAX_CONNECTIONS_PER_KEY.*LIMIT_EXCEEDED/);
    await connected(other);
    first.ws.close();
    await first.closed;
    await waitFor('its place', () => open() === 2);
    await connected();
    expect(await refused()).toMatchObject({ code: 4429 });
  });

  test('says how many there may be', async () => {
    const { viewer } = await skein.query<{ viewer: { limits: object } }, object>(
      '{ viewer { limits { connectionsPerKey subscriptionsPerConnection } } }',
    );
    expect(viewer.limits).toEqual({ connectionsPerKey: 2, subscriptionsPerConnection: 100 });
  });
});

describe('on one socket', () => {
  beforeEach(() => start({ MAX_SUBSCRIPTIONS_PER_CONNECTION: '2' }));
  const of = (socket: RawSocket, id: string) => socket.messages.filter((message) => message.id === id);
  const subscribe = (socket: RawSocket, id: string, threadId: string) =>
    socket.send({ id, type: 'subscribe', payload: { query: FOLLOW, variables: { threadId } } });

  test('one subscription too many is refused with LIMIT_EXCEEDED, and the others go on', async () => {
    const threadId = await newThread();
    const socket = await connected();
    for (const id of ['1', '2', '3']) subscribe(socket, id, threadId);
    const { payload } = await socket.message('error');
    expect(of(socket, '3')).toHaveLength(1);
    expect(payload).toEqual([
      {
        message: expect.stringContaining('MAX_SUBSCRIPTIONS_PER_CONNECTION'),
        extensions: { code: 'LIMIT_EXCEEDED' },
      },
    ]);
    await waitFor('both to begin', () => ['1', '2'].every((id) => of(socket, id).length === 1));
    // Queries and mutations are no subscriptions.
    const say = `mutation { createMessage(input: { threadId: "${threadId}", content: [{ text: "Hi" }] }) { message { id } } }`;
    socket.send({ id: '4', type: 'subscribe', payload: { query: say } });
    await waitFor('both to be told', () => ['1', '2'].every((id) => of(socket, id).length > 1));
    socket.send({ id: '1', type: 'complete' });
    await waitFor('one to leave', () => skein.skein.counts().followers === 1);
    subscribe(socket, '5', threadId);
    await waitFor('another to come', () => of(socket, '5').some(({ type }) => type === 'next'));
    // An id that is used again counts once.
    socket.send({ id: '2', type: 'complete' });
    await waitFor('one to leave', () => skein.skein.counts().followers === 1);
    subscribe(socket, '5b', threadId);
    await waitFor('another to come', () => of(socket, '5b').some(({ type }) => type === 'next'));
  });

  test('what comes faster than it is answered is answered all the same', async () => {
    const socket = await connected();
    const COUNT = 3000;
    for (let i = 0; i < COUNT; i++)
      socket.send({ id: String(i), type: 'subscribe', payload: { query: '{ viewer { version } }' } });
    const answers = () => socket.messages.filter(({ type }) => type === 'next');
    await waitFor('all answers', () => answers().length === COUNT, 30_000);
    expect(new Set(answers().map(({ id }) => id)).size).toBe(COUNT);
    expect(socket.messages.some(({ type }) => type === 'error')).toBe(false);
  });

  test('subscriptions that come and go without waiting leave nothing behind', async () => {
    const threadId = await newThread();
    const socket = await connected();
    for (let i = 0; i < 2000; i++) {
      subscribe(socket, String(i), threadId);
      socket.send({ id: String(i), type: 'complete' });
    }
    socket.send({ id: 'last', type: 'subscribe', payload: { query: '{ viewer { version } }' } });
    await waitFor('the last answer', () => of(socket, 'last').length === 2, 30_000);
    await waitFor('all followers to leave', () => skein.skein.counts().followers === 0);
    subscribe(socket, 'real', threadId);
    await waitFor('one that stays', () => of(socket, 'real').some(({ type }) => type === 'next'));
  });
});

test('who asks without reading the answers is no longer read either, and sent away', async () => {
  await start({ SOCKET_STALL_SECONDS: '2', SOCKET_BUFFER_BYTES: '65536' });
  const socket = await connected();
  socket.ws.pause();
  const ping = JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(900) } });
  // Until the socket takes no more: the server has stopped reading, and the kernel holds what it can.
  const MOST = 512 * 1024 * 1024;
  let sent = 0;
  const isFull = () => socket.ws.bufferedAmount > 4 * 1024 * 1024;
  while (sent < MOST && socket.ws.readyState === socket.ws.OPEN && !isFull()) {
    await new Promise((resolve) => socket.ws.send(ping, resolve));
    sent += ping.length;
    for (let i = 0; i < 1000; i++, sent += ping.length) socket.ws.send(ping);
  }
  console.log(`taken of pings whose pongs nobody reads: ${Math.round((sent - socket.ws.bufferedAmount) / 1024)} KiB`);
  expect(sent).toBeLessThan(MOST / 4);
  await waitFor('it to be sent away', () => open() === 0, 20_000);
  socket.ws.resume();
  expect([1006, 1013]).toContain((await socket.closed).code);
});

describe('while the server stops', () => {
  const KEY = 'sk-skein-for-the-tests-of-limits';
  let database: TestDatabase;
  let server: SkeinProcess;
  let threadId: string;
  beforeEach(async () => {
    database = await testDatabase();
    server = await startProcess(database, { SKEIN_BOOTSTRAP_KEY: KEY, DRAIN_SECONDS: '0' });
    const { json } = await send(server.url, {
      body: operation('mutation { createThread(input: {}) { thread { id } } }'),
      headers: jsonWith(KEY),
    });
    threadId = (json.data!.createThread as { thread: { id: string } }).thread.id;
  });
  afterEach(async () => {
    server.kill('SIGKILL');
    await server.ended;
    await database.dispose();
  });

  const errors = () => server.log().filter(({ level }) => Number(level) >= 50);
  const subscription = () => ({ query: FOLLOW, variables: { threadId } });

  test('subscriptions that keep coming are turned away with 1012, and nothing goes wrong', async () => {
    const late = await Promise.all(Array.from({ length: 20 }, () => connectedSocket(server.url, KEY)));
    for (const socket of late) {
      let id = 0;
      const next = () => {
        if (socket.ws.readyState !== socket.ws.OPEN) return;
        socket.send({ id: String(++id), type: 'subscribe', payload: subscription() });
        socket.send({ id: String(id - 1), type: 'complete' });
      };
      socket.ws.on('message', next);
      next();
    }
    await waitFor('all to be under way', () => late.every(({ messages }) => messages.length > 20), 30_000);
    server.kill();
    expect(await server.ended).toEqual({ code: 0, signal: null });
    for (const socket of late) expect((await socket.closed).code).toBe(1012);
    expect(errors()).toEqual([]);
  });

  test('one whose reads are not done yet is turned away as well', async () => {
    const socket = await connectedSocket(server.url, KEY);
    const beside = besides(database);
    beside.on('error', () => {}); // of the database being closed
    await beside.connect();
    await beside.query('begin');
    await beside.query('lock table thread in access exclusive mode');
    const stream = fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { ...jsonWith(KEY), accept: 'text/event-stream' },
      body: operation(FOLLOW, { variables: { threadId } }),
    }).then(
      () => 'answered',
      () => 'cut off',
    );
    socket.send({ id: '1', type: 'subscribe', payload: subscription() });
    socket.send({ type: 'ping' });
    await socket.message('pong');
    server.kill();
    await waitFor('the signal to arrive', () => server.log().some(({ msg }) => msg === 'shutting down'));
    // The embedded database has one session: what the server has to do before it closes its sockets waits as well.
    if (!database.databaseUrl) await beside.query('rollback');
    expect(await socket.closed).toEqual({ code: 1012, reason: 'The server stops: come back with your cursor' });
    const streamed = await stream;
    // With PostgreSQL the reads go on now, in a server that nobody can hear any more.
    if (database.databaseUrl) {
      expect(streamed).toBe('cut off');
      await beside.query('rollback');
    }
    await beside.end();
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(errors()).toEqual([]);
  });
});
