import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { print } from 'graphql';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { besides } from '../besides.ts';
import { type Conversation, emptyConversation, fold } from '../../src/client/fold.ts';
import { FollowRunDocument, type FollowRunSubscription } from '../../src/generated/graphql/graphql.ts';
import { testDatabase } from '../database.ts';
import { live, type LiveScene, openStage, type Stage } from '../engine/stage.ts';
import { delta, finish, type EventStream, openModelServer, streamTo } from '../llm/model-server.ts';
import { answerOf, connectedSocket, openSocket, type RawSocket } from './raw-socket.ts';
import { jsonWith, operation, send } from './send.ts';
import { startProcess } from './skein-process.ts';
import { waitFor } from './wait-for.ts';

vi.setConfig({ testTimeout: 240_000 });

const MIB = 1024 * 1024;
const PIECE = 'lorem ipsum dolor sit amet '.repeat(300); // 8 kB
const megabytes = (bytes: number) => (bytes / MIB).toFixed(1);

describe('a socket that nobody reads', () => {
  const KEY = 'sk-skein-for-the-tests-of-slow-clients';
  const SOCKETS = 10;
  /** Each event says its text this often: a stream of five megabytes is one of fifty for each reader. */
  const ECHOES = 10;
  const PIECES = 640;
  /** Said before it is measured: buffers are full then, and the collector has found its size. */
  const FIRST_PIECES = 320;

  test('costs a bounded amount of memory and is sent away with 1013', async () => {
    const asked = Promise.withResolvers<EventStream>();
    const model = await openModelServer(({ response }) => asked.resolve(streamTo(response)));
    const database = await testDatabase();
    const server = await startProcess(database, {
      SKEIN_BOOTSTRAP_KEY: KEY,
      OPENAI_BASE_URL: model.url,
      // Long enough for the whole stream to come first, so that everything that is kept for the readers is there.
      SOCKET_STALL_SECONDS: '15',
      KEEP_ALIVE_SECONDS: '60',
      MAX_CONNECTIONS: String(SOCKETS + 1),
      DRAIN_SECONDS: '0',
    });
    try {
      const ask = async (query: string, variables: object = {}): Promise<any> => {
        const { json, text } = await send(server.url, {
          body: operation(query, { variables }),
          headers: jsonWith(KEY),
        });
        if (!json.data) throw new Error(text);
        return json.data;
      };
      const { createAssistant } = await ask('mutation { createAssistant(input: { model: "m" }) { assistant { id } } }');
      const { startRun } = await ask('mutation ($input: StartRunInput!) { startRun(input: $input) { run { id } } }', {
        input: {
          assistantId: createAssistant.assistant.id,
          thread: { messages: [{ content: [{ text: 'Go on for ever' }] }] },
        },
      });
      const echoes = Array.from({ length: ECHOES }, (_, i) => `v${i}: value`).join(' ');
      const query = `subscription ($runId: ID!) { runEvents(runId: $runId) { __typename ... on MessageDelta { content { ... on TextDelta { ${echoes} } } } } }`;
      const follow = async (): Promise<RawSocket> => {
        const socket = await connectedSocket(server.url, KEY);
        socket.send({ id: '1', type: 'subscribe', payload: { query, variables: { runId: startRun.run.id } } });
        await socket.message('next');
        return socket;
      };
      const deaf = await Promise.all(Array.from({ length: SOCKETS }, follow));
      for (const { ws } of deaf) ws.pause();
      const reader = await follow();
      let heard = 0;
      reader.ws.on('message', (data: Buffer) => (heard += data.length));

      const stream = await asked.promise;
      let most = 0;
      let before = 0;
      // As fast as the one who reads is told.
      for (let said = 0; said < FIRST_PIECES + PIECES;) {
        for (let i = 0; i < 10; i++, said++) stream.send(delta({ content: PIECE }));
        await waitFor('the reader to hear it', () => heard >= said * PIECE.length * ECHOES);
        if (said === FIRST_PIECES) before = takenBytes(server.pid);
        if (said > FIRST_PIECES) most = Math.max(most, takenBytes(server.pid) - before);
      }
      const sent = PIECES * PIECE.length * ECHOES;
      console.log(
        `${SOCKETS} sockets that nobody reads, ${megabytes(sent)} MiB more for each: the server grew by ${megabytes(most)} MiB at most, ${megabytes(most / SOCKETS)} MiB for each`,
      );
      // All of it, the stream itself included, in far less than what unread sockets would hold.
      expect(most / SOCKETS).toBeLessThan(sent / 4);

      const sentAway = () => server.log().filter(({ code }) => code === 1013);
      await waitFor('all of them to be sent away', () => sentAway().length === SOCKETS, 30_000);
      const unsent = Math.max(...sentAway().map((line) => line.unsent as number));
      console.log(`unsent bytes of such a socket in the end: ${unsent} at most`);
      expect(unsent).toBeLessThan(4 * MIB + 2 * ECHOES * PIECE.length);
      // Who reads again in time is told why.
      deaf[0]!.ws.resume();
      expect(await deaf[0]!.closed).toEqual({ code: 1013, reason: 'Too slow: come back with your cursor' });
      // The others are cut off; who reads is not disturbed.
      const more: RawSocket[] = [];
      await waitFor(
        'room for as many sockets again',
        async () => {
          const socket = openSocket(server.url);
          // Turned away with 1013 while the places are taken.
          if ((await answerOf(socket, KEY)) === null) more.push(socket);
          return more.length === SOCKETS;
        },
        30_000,
      );
      expect(reader.ws.readyState).toBe(reader.ws.OPEN);
      for (const { ws } of [...deaf, ...more, reader]) ws.terminate();
    } finally {
      server.kill('SIGKILL');
      await server.ended;
      await model.close();
      await database.dispose();
    }
  });
});

/** What a process has in memory, or had there until somebody else needed the place; in bytes. */
function takenBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (what: string) => Number(new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(status)![1]) * 1024;
  return of('VmRSS') + of('VmSwap');
}

type RunEvent = FollowRunSubscription['runEvents'];

/** Follows a run over a socket whose reading can be held. */
interface Reader {
  readonly socket: RawSocket;
  readonly events: RunEvent[];
  state: Conversation;
  readonly ended: boolean;
}

/** With the text of each delta in it this often: what fills a socket need not be written to a database first. */
const BULKY = print(FollowRunDocument).replace(
  /fragment \w+ on MessageDelta \{/,
  `$& ${Array.from({ length: 20 }, (_, i) => `echo${i}: content { ... on TextDelta { value } }`).join(' ')}`,
);

async function read(stage: Stage, runId: string, query = BULKY, from?: Reader): Promise<Reader> {
  const socket = await connectedSocket(stage.app.url, stage.app.key);
  const reader = {
    socket,
    events: from ? [...from.events] : [],
    state: from?.state ?? emptyConversation(),
    ended: false,
  };
  socket.ws.on('message', (data) => {
    const { type, payload } = JSON.parse(String(data)) as { type: string; payload: { data: FollowRunSubscription } };
    if (type === 'complete') reader.ended = true;
    if (type !== 'next') return;
    reader.events.push(payload.data.runEvents);
    reader.state = fold(reader.state, payload.data.runEvents);
  });
  const variables = { runId, after: from?.state.cursor };
  socket.send({ id: '1', type: 'subscribe', payload: { query, variables } });
  await waitFor('its first event', () => reader.events.length > (from?.events.length ?? 0));
  return reader;
}

describe('a client that reads slowly', () => {
  let stage: Stage;
  beforeEach(async () => {
    // Ten pieces, for which a slow one does not read at all, take a busy machine seconds.
    stage = await openStage({ SOCKET_STALL_SECONDS: '20', KEEP_ALIVE_SECONDS: '10' });
  });
  afterEach(() => stage.close());

  test('gets everything in fewer and larger pieces, and goes on from its cursor without gap or repetition', async () => {
    const PIECES = 1000;
    const script = live();
    stage.scenes.push(script.scene);
    const { runId } = await stage.start();
    const fast = await read(stage, runId, print(FollowRunDocument));
    const slow = await read(stage, runId);
    const lost = await read(stage, runId);
    const stream = await script.asked;
    let text = '';
    const heard = ({ state }: Reader): number => state.messages[0]?.text.length ?? 0;
    // The slow ones read one event for ten that happen.
    for (const { socket } of [slow, lost]) socket.ws.on('message', () => socket.ws.pause());
    for (let said = 1; said <= PIECES; said++) {
      const content = `<${said}>${PIECE.slice(0, 2000)}`;
      text += content;
      stream.send(delta({ content }));
      while (heard(fast) < text.length) await once(fast.socket.ws, 'message');
      if (said % 10 === 0) for (const { socket } of [slow, lost]) socket.ws.resume();
    }
    expect(heard(slow)).toBeLessThan(text.length);
    lost.socket.ws.terminate();
    await waitFor('its follower to leave', () => stage.app.skein.counts().followers === 2);
    const back = await read(stage, runId, BULKY, lost);
    stream.send(finish('stop'));
    stream.end();
    slow.socket.ws.on('message', () => slow.socket.ws.resume());
    slow.socket.ws.resume();
    await waitFor('all of them to end', () => fast.ended && slow.ended && back.ended, 60_000);

    const { messages } = await stage.details(runId);
    expect(messages.nodes[0]!.text).toBe(text);
    for (const reader of [fast, slow, back]) {
      expect(reader.state.messages).toEqual(messages.nodes);
      expect(reader.state.runs[0]!.status).toBe('COMPLETED');
      const cursors = reader.events.map(({ cursor }) => cursor);
      expect(new Set(cursors).size).toBe(cursors.length);
      expect(whole(reader.events)).toBe(text);
    }
    const deltas = (reader: Reader) => reader.events.filter(({ __typename }) => __typename === 'MessageDelta').length;
    console.log(
      `${megabytes(text.length)} MiB in ${PIECES} pieces: ${deltas(fast)} deltas for a fast reader, ${deltas(slow)} for a slow one, ${deltas(back)} for one that came back`,
    );
    expect(deltas(slow)).toBeLessThan(deltas(fast) / 2);
    for (const { socket } of [fast, slow, back]) socket.ws.close();
  });

  /** What the deltas of a stream say, each put exactly behind the ones before. */
  function whole(events: readonly RunEvent[]): string {
    let said = '';
    for (const event of events) {
      if (event.__typename !== 'MessageDelta') continue;
      for (const part of event.content) {
        if (part.__typename !== 'TextDelta') throw new Error(`a ${part.__typename}`);
        expect(part.offset).toBe(said.length);
        said += part.value;
      }
    }
    return said;
  }
});

describe('a client that is stuck', () => {
  let stage: Stage;
  let script: LiveScene;
  let runId: string;
  beforeEach(async () => {
    stage = await openStage({ SOCKET_STALL_SECONDS: '1', KEEP_ALIVE_SECONDS: '1' });
    script = live();
    stage.scenes.push(script.scene);
    ({ runId } = await stage.start());
  });
  afterEach(() => stage.close());

  test('at the end of an SSE stream is cut off, without an end of the stream', async () => {
    const request = http.request(`${stage.app.url}/graphql`, {
      method: 'POST',
      agent: false,
      headers: { ...jsonWith(stage.app.key), accept: 'text/event-stream' },
    });
    request.end(operation(print(FollowRunDocument), { variables: { runId } }));
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.pause();
    response.on('error', () => {}); // of being cut off
    const closed = new Promise((resolve) => response.once('close', resolve));
    await waitFor('its follower', () => stage.app.skein.counts().followers === 1);
    const stream = await script.asked;
    // As much as the kernel takes for it, and more.
    for (let i = 0; i < 1500; i++) stream.send(delta({ content: PIECE }));
    await waitFor('it to be let go of', () => stage.app.skein.counts().followers === 0, 30_000);
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => (text += part));
    response.resume();
    await closed;
    expect(response.complete).toBe(false);
    expect(text).not.toContain('event: complete');
    stream.end();
  });

  test('on a line that is dead is cut off, and its subscriptions with it; who answers stays', async () => {
    const line = await openLine(Number(new URL(stage.app.url).port));
    const dead = await connectedSocket(line.url, stage.app.key);
    const idle = await connectedSocket(stage.app.url, stage.app.key);
    const query = 'subscription ($runId: ID!) { runEvents(runId: $runId) { cursor } }';
    for (const socket of [dead, idle]) {
      socket.send({ id: '1', type: 'subscribe', payload: { query, variables: { runId } } });
      await socket.message('next');
    }
    let pings = 0;
    idle.ws.on('ping', () => (pings += 1));
    line.cut();
    await waitFor('it to be given up', () => stage.app.skein.counts().sockets === 1);
    expect(stage.app.skein.counts().followers).toBe(1);
    await waitFor('the other one to be asked again', () => pings >= 3);
    expect(idle.ws.readyState).toBe(idle.ws.OPEN);
    expect(dead.ws.readyState).toBe(dead.ws.OPEN); // nobody has told it
    dead.ws.terminate();
    idle.ws.close();
    await line.close();
  });
});

test('a subscription that fails in the middle takes no other one with it', async () => {
  const stage = await openStage();
  try {
    const [good, bad] = [await stage.createThread('Good'), await stage.createThread('Bad')];
    const socket = await connectedSocket(stage.app.url, stage.app.key);
    const query = 'subscription ($threadId: ID!) { threadEvents(threadId: $threadId) { __typename } }';
    const said = (id: string) => socket.messages.filter((message) => message.id === id);
    for (const [id, threadId] of Object.entries({ good, bad })) {
      socket.send({ id, type: 'subscribe', payload: { query, variables: { threadId } } });
      await waitFor('its snapshot', () => said(id).length === 1);
    }
    const db = besides(stage.app.database);
    await db.connect();
    const inserted = db.query(
      `insert into event
select (jsonb_populate_record(e, jsonb_build_object('number', number + 1, 'payload', 'no event'))).*
from event e where thread_id = $1 order by number desc limit 1`,
      [bad],
    );
    const { rowCount } = await inserted.finally(() => db.end());
    expect(rowCount).toBe(1);
    await waitFor('the bad one to end', () => said('bad').some(({ type }) => type === 'complete'));
    expect(said('bad').slice(1)).toEqual([
      {
        id: 'bad',
        type: 'next',
        payload: { errors: [expect.objectContaining({ extensions: expect.objectContaining({ code: 'INTERNAL' }) })] },
      },
      { id: 'bad', type: 'complete' },
    ]);
    await stage.say(good, 'Still here');
    await waitFor('the good one to go on', () => said('good').length > 1);
    expect(said('good')[1]).toMatchObject({ payload: { data: { threadEvents: { __typename: 'MessageCreated' } } } });
    socket.ws.close();
  } finally {
    await stage.close();
  }
});

/** A line to a server that can be cut without a word to either end. */
async function openLine(port: number): Promise<{ url: string; cut(): void; close(): Promise<void> }> {
  const ends: Socket[] = [];
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const end of [near, far]) ends.push(end.on('error', () => {})); // being cut off is the point
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const { port: own } = relay.address() as { port: number };
  return {
    url: `http://127.0.0.1:${own}`,
    cut() {
      for (const end of ends) {
        end.unpipe();
        end.removeAllListeners('end');
        end.on('end', () => {}).resume(); // what still comes is lost
      }
    },
    async close() {
      for (const end of ends) end.destroy();
      relay.close();
      await once(relay, 'close');
    },
  };
}
