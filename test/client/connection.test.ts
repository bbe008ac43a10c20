import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { connect, type Token } from '../../src/client/connection.ts';
import { follow, type FollowStatus } from '../../src/client/follow.ts';
import type { SkeinError } from '../../src/client/skein-error.ts';
import {
  ConversationDocument,
  CreateThreadDocument,
  FollowRunDocument,
  type FollowRunSubscription,
} from '../../src/generated/graphql/graphql.ts';
import { type HeldModel, openHeldModel } from '../events/held-model.ts';
import { createAssistant, tell } from '../events/story.ts';
import { eventually } from '../eventually.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { followed } from './followed.ts';
import { openWire, type Wire } from './wire.ts';

let model: HeldModel;
let skein: TestSkein;
let assistant: string;
let threadId: string;
const wires: Wire[] = [];

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistant = await createAssistant(skein);
  threadId = (await skein.query(CreateThreadDocument, { input: {} })).createThread.thread!.id;
});

afterAll(async () => {
  for (const wire of wires) await wire.close();
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0 }));
  await skein?.close();
  await model?.close();
});

async function newWire(token?: Token): Promise<Wire> {
  const wire = await openWire(skein, { token });
  wires.push(wire);
  return wire;
}

/** A run as it is followed to its end. */
function followedRun(wire: Wire, runId: string) {
  const events: FollowRunSubscription['runEvents'][] = [];
  const statuses: FollowStatus[] = [];
  return new Promise<{ events: typeof events; statuses: FollowStatus[]; error: SkeinError | null }>((resolve) => {
    follow({
      subscribe: wire.connection.subscribe,
      document: FollowRunDocument,
      variables: (after) => ({ runId, after }),
      eventOf: ({ runEvents }) => runEvents,
      cursorOf: ({ cursor }) => cursor,
      onEvent: (event) => events.push(event),
      onStatus(status, error) {
        statuses.push(status);
        if (status === 'ended') resolve({ events, statuses, error });
      },
    });
  });
}

describe('what is followed ends', () => {
  test('with its run', async () => {
    const story = await tell(skein, assistant, 'Hello.');
    const wire = await newWire();
    const followed = followedRun(wire, story.runId);
    const answer = await model.asked();
    await eventually(() => expect(wire.subscribed).toHaveLength(1));
    await eventually(() => expect(skein.skein.counts().followers).toBeGreaterThan(1));
    answer.say('Hello!');
    answer.end();
    const { events, statuses, error } = await followed;
    expect(statuses).toEqual(['connecting', 'live', 'ended']);
    expect(error).toBeNull();
    expect(events.at(-1)).toMatchObject({ __typename: 'RunStatusChanged', status: 'COMPLETED' });
    await story.live.kill();
  });

  test('when there is no such run, and says so', async () => {
    const { events, statuses, error } = await followedRun(await newWire(), 'run_01m83ks3rbemzacgpxeze8s59a');
    expect(statuses.at(-1)).toBe('ended');
    expect(statuses).not.toContain('reconnecting');
    expect(error).toMatchObject({ name: 'SkeinError', code: 'NOT_FOUND' });
    expect(events).toEqual([]);
  });

  test('with a key that is no good', async () => {
    const wire = await newWire('sk-skein-of-somebody-else');
    const follower = followed(wire, threadId);
    await follower.until(({ statuses }) => statuses.at(-1) === 'ended');
    expect(follower.error).toMatchObject({ name: 'SkeinError', code: 'CLOSED_4401' });
    expect(follower.statuses).toEqual(['connecting', 'ended']);
    await expect(wire.connection.request(ConversationDocument, { threadId })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('with a key that is revoked', async () => {
    const { createApiKey } = (await skein.query(
      'mutation { createApiKey(input: { name: "a page" }) { created { secret apiKey { id } } } }',
    )) as { createApiKey: { created: { secret: string; apiKey: { id: string } } } };
    const follower = followed(await newWire(createApiKey.created.secret), threadId);
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    await skein.query('mutation Revoke($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { apiKey { id } } }', {
      id: createApiKey.created.apiKey.id,
    });
    await follower.until(({ statuses }) => statuses.at(-1) === 'ended');
    expect(follower.error).toMatchObject({ code: 'CLOSED_4403' });
    expect(follower.statuses).toEqual(['connecting', 'live', 'ended']);
  });
});

describe('a connection that is closed', () => {
  test('ends what is followed over it, whether it stands or is sought', async () => {
    const [stands, sought, never] = [await newWire(), await newWire(), await newWire()];
    await never.refuse();
    const followers = [stands, sought, never].map((wire) => followed(wire, threadId));
    for (const follower of followers.slice(0, 2)) await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    await sought.refuse();
    await followers[1]!.until(({ statuses }) => statuses.at(-1) === 'reconnecting');
    for (const wire of [stands, sought, never]) wire.connection.close();
    for (const wire of [sought, never]) await wire.admit();
    for (const follower of followers) {
      await follower.until(({ statuses }) => statuses.at(-1) === 'ended');
      expect(follower.error).toBeNull();
    }
    expect(stands.subscribed).toHaveLength(1);
    expect(sought.subscribed).toHaveLength(1);
    expect(never.greetings).toEqual([]);
  });

  test('says nothing to those who have left', async () => {
    const wire = await newWire();
    const follower = followed(wire, threadId);
    await follower.until(({ events }) => events.length === 1);
    follower.stop();
    await eventually(() => expect(skein.skein.counts().followers).toBe(0));
    wire.connection.close();
    await eventually(() => expect(wire.open).toBe(0));
    expect(follower.statuses).toEqual(['connecting', 'live']);
  });
});

describe('a token', () => {
  test('that a function makes is asked for anew for each connection and each request', async () => {
    let asked = 0;
    const wire = await newWire(() => {
      asked += 1;
      return skein.key;
    });
    const follower = followed(wire, threadId);
    for (let times = 1; times <= 3; times++) {
      await follower.until(({ statuses }) => statuses.filter((status) => status === 'live').length === times);
      expect(asked).toBe(times);
      expect(wire.greetings).toHaveLength(times);
      wire.cut();
      await follower.until(({ statuses }) => statuses.at(-1) === 'reconnecting');
    }
    follower.stop();
    await wire.connection.request(ConversationDocument, { threadId });
    expect(asked).toBe(4);
    expect(wire.requests).toHaveLength(1);
  });

  test('that is not to be had for a while, or is out of date, is asked for again', async () => {
    const answers = [() => Promise.reject(new Error('the page’s own server is away')), () => 'sk-skein-out-of-date'];
    const wire = await newWire(() => answers.shift()?.() ?? skein.key);
    const follower = followed(wire, threadId);
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    expect(follower.statuses).toEqual(['connecting', 'live']);
    expect(answers).toEqual([]);
    follower.stop();
  });
});

describe('a client token', () => {
  /** Lets in whoever has a token, and sends the old one away once: later it lets nobody in with it. */
  async function doorkeeper(): Promise<{ url: string; close(): void }> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    let over = false;
    server.on('connection', (socket) => {
      let old = false;
      socket.on('message', (data) => {
        const { type, payload } = JSON.parse(String(data)) as { type: string; payload?: { Authorization?: string } };
        if (type === 'connection_init') {
          old = payload?.Authorization === 'Bearer old';
          if (old && over) socket.close(4419, 'The token has expired');
          else socket.send('{"type":"connection_ack"}');
        }
        if (type !== 'subscribe' || !old) return;
        over = true;
        socket.close(4419, 'The token has expired');
      });
    });
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}/graphql`, close: () => server.close() };
  }

  async function statusesWith(token: Token, until: (statuses: readonly string[]) => boolean) {
    const { url, close } = await doorkeeper();
    const connection = connect({ url, token });
    const statuses: FollowStatus[] = [];
    let last: SkeinError | null = null;
    const stop = follow({
      subscribe: connection.subscribe,
      document: FollowRunDocument,
      variables: (after) => ({ runId: 'run_1', after }),
      eventOf: ({ runEvents }) => runEvents,
      cursorOf: ({ cursor }) => cursor,
      onEvent: () => expect.unreachable(),
      onStatus(status, error) {
        statuses.push(status);
        last = error;
      },
    });
    await eventually(() => expect(until(statuses)).toBe(true));
    stop();
    connection.close();
    close();
    return { statuses, last };
  }

  test('whose time is over is followed by another', async () => {
    const tokens = ['old', 'new'];
    const { statuses } = await statusesWith(
      () => tokens.shift()!,
      (seen) => seen.filter((status) => status === 'live').length === 2,
    );
    expect(statuses).toEqual(['connecting', 'live', 'reconnecting', 'live']);
  });

  test('whose time is over and that nobody replaces is the end', async () => {
    const { statuses, last } = await statusesWith('old', (seen) => seen.at(-1) === 'ended');
    expect(statuses).toEqual(['connecting', 'live', 'reconnecting', 'ended']);
    expect(last).toMatchObject({ code: 'CLOSED_4419', message: 'The token has expired' });
  });
});

describe.concurrent('a server that is there no more', () => {
  test('and takes no pings is noticed, and sought again', { timeout: 40_000 }, async () => {
    const wire = await newWire();
    const follower = followed(wire, threadId);
    await follower.until(({ events }) => events.length === 1);
    wire.hold();
    const since = Date.now();
    await follower.until(({ statuses }) => statuses.at(-1) === 'reconnecting');
    // A ping each 10 s, and 5 s for its answer.
    expect(Date.now() - since).toBeLessThan(16_000);
    await wire.refuse();
    await wire.admit();
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    await eventually(() => expect(wire.subscribed).toHaveLength(2));
    expect(wire.subscribed[1]!.variables.after).toBe(follower.state.cursor);
    follower.stop();
  });

  test('and takes connections without a word is given up, and sought again', { timeout: 40_000 }, async () => {
    const wire = await newWire();
    wire.hold();
    const follower = followed(wire, threadId);
    await follower.until(({ error }) => error !== null);
    expect(follower.error).toMatchObject({ code: 'UNREACHABLE' });
    expect(follower.statuses).toEqual(['connecting']);
    await wire.refuse();
    await wire.admit();
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    follower.stop();
  });

  test('is found again when it is back', async () => {
    const wire = await newWire();
    const follower = followed(wire, threadId);
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    await wire.refuse();
    await follower.until(({ statuses }) => statuses.at(-1) === 'reconnecting');
    expect(follower.error).toMatchObject({ code: 'UNREACHABLE' });
    await wire.admit();
    await follower.until(({ statuses }) => statuses.at(-1) === 'live');
    expect(follower.error).toBeNull();
    follower.stop();
  });

  test('for subscriptions alone is asked less and less often', async () => {
    const tries: number[] = [];
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    server.on('connection', (socket) =>
      socket.on('message', (data) => {
        const { type, id } = JSON.parse(String(data)) as { type: string; id?: string };
        if (type === 'connection_init') socket.send('{"type":"connection_ack"}');
        if (type !== 'subscribe') return;
        tries.push(performance.now());
        const errors = [{ message: 'Something went wrong.', extensions: { code: 'INTERNAL' } }];
        socket.send(JSON.stringify({ type: 'next', id, payload: { errors } }));
      }),
    );
    const { port } = server.address() as AddressInfo;
    const connection = connect({ url: `http://127.0.0.1:${port}/graphql`, token: 'any' });
    const errors = new Set<string | undefined>();
    const stop = follow({
      subscribe: connection.subscribe,
      document: FollowRunDocument,
      variables: (after) => ({ runId: 'run_1', after }),
      eventOf: ({ runEvents }) => runEvents,
      cursorOf: ({ cursor }) => cursor,
      onEvent: () => expect.unreachable(),
      onStatus: (_status, error) => void errors.add(error?.code),
    });
    await eventually(() => expect(tries).toHaveLength(5));
    stop();
    connection.close();
    server.close();
    const waits = tries.slice(1).map((at, i) => at - tries[i]!);
    for (const [i, wait] of waits.entries()) expect(wait).toBeGreaterThan(120 * 2 ** i);
    expect(errors).toEqual(new Set([undefined, 'INTERNAL']));
  });

  test('answers requests with UNREACHABLE', async () => {
    const wire = await newWire();
    await wire.refuse();
    await expect(wire.connection.request(ConversationDocument, { threadId })).rejects.toMatchObject({
      name: 'SkeinError',
      code: 'UNREACHABLE',
    });
    await wire.admit();
    await expect(wire.connection.request(ConversationDocument, { threadId })).resolves.toMatchObject({ thread: { id: threadId } });
    const page = '<html>502 Bad Gateway</html>';
    wire.answer = () => `HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: ${page.length}\r\n\r\n${page}`;
    await expect(wire.connection.request(ConversationDocument, { threadId })).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('502'),
    });
  });
});
