import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { testDatabase, type TestDatabase } from '../database.ts';
import {
  delta,
  type Exchange,
  finish,
  type ModelServer,
  openModelServer,
  streamTo,
  USAGE,
} from '../llm/model-server.ts';
import { connectedSocket } from './raw-socket.ts';
import { jsonWith, operation, send } from './send.ts';
import { type SkeinProcess, spawnMain, startProcess } from './skein-process.ts';
import { waitFor } from './wait-for.ts';

// Whole processes start here, often twice in a test; a busy machine takes its time over that.
vi.setConfig({ testTimeout: 240_000 });

const KEY = 'sk-skein-for-the-tests-of-shutdown';
let database: TestDatabase;
let model: ModelServer;
/** Model turns that have begun to answer and wait to be let go on. */
let held: Exchange[];
let holds: boolean;
let processes: SkeinProcess[];

beforeEach(async () => {
  held = [];
  holds = true;
  processes = [];
  model = await openModelServer((exchange) => {
    const stream = streamTo(exchange.response);
    stream.send(delta({ role: 'assistant', content: '' }), delta({ content: 'Half' }));
    if (holds) held.push(exchange);
    else complete(exchange);
  });
  database = await testDatabase();
});
afterEach(async () => {
  for (const { kill, ended } of processes) {
    kill('SIGKILL');
    await ended;
  }
  await model.close();
  await database.dispose();
});

function complete({ response }: Exchange): void {
  const chunks = [delta({ content: ' and half' }), finish('stop'), USAGE];
  response.end(`${chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')}data: [DONE]\n\n`);
}

async function start(environment: Record<string, string> = {}): Promise<SkeinProcess> {
  const started = await startProcess(database, {
    SKEIN_BOOTSTRAP_KEY: KEY,
    OPENAI_BASE_URL: model.url,
    ...environment,
  });
  processes.push(started);
  return started;
}

async function ask<Result>({ url }: { url: string }, query: string, variables: object = {}): Promise<Result> {
  const { json, text } = await send(url, { body: operation(query, { variables }), headers: jsonWith(KEY) });
  if (!json.data) throw new Error(text);
  return json.data as Result;
}

async function startRun(server: SkeinProcess, text = 'Hello', assistant: object = { model: 'm' }): Promise<string> {
  type Made = { createAssistant: { assistant: { id: string } } };
  const made = await ask<Made>(
    server,
    'mutation ($input: CreateAssistantInput!) { createAssistant(input: $input) { assistant { id } } }',
    { input: assistant },
  );
  const input = { assistantId: made.createAssistant.assistant.id, thread: { messages: [{ content: [{ text }] }] } };
  const started = await ask<{ startRun: { run: { id: string } } }>(
    server,
    'mutation ($input: StartRunInput!) { startRun(input: $input) { run { id } } }',
    { input },
  );
  return started.startRun.run.id;
}

interface RunNow {
  status: string;
  attempt: number;
  messages: { nodes: { text: string; status: string }[] };
  requiredAction: { toolCalls: { id: string }[] } | null;
}
const runNow = async (server: SkeinProcess, id: string): Promise<RunNow> =>
  (
    await ask<{ run: RunNow }>(
      server,
      'query ($id: ID!) { run(id: $id) { status attempt messages { nodes { text status } } requiredAction { toolCalls { id } } } }',
      { id },
    )
  ).run;
const runThat = (server: SkeinProcess, id: string, status: string) =>
  waitFor(`the run to be ${status}`, async () => {
    const run = await runNow(server, id);
    return run.status === status ? run : null;
  });

const asked = (server: SkeinProcess) =>
  waitFor('the signal to arrive', () => server.log().some(({ msg }) => msg === 'shutting down'));

async function following(server: SkeinProcess, runId: string) {
  const socket = await connectedSocket(server.url, KEY);
  socket.send({
    id: '1',
    type: 'subscribe',
    payload: {
      query: 'subscription ($id: ID!) { runEvents(runId: $id) { __typename ... on RunStatusChanged { status } } }',
      variables: { id: runId },
    },
  });
  await socket.message('next');
  return socket;
}

describe('SIGTERM', () => {
  test('lets a run finish that can within DRAIN_SECONDS, and claims no other', async () => {
    const server = await start({ DRAIN_SECONDS: '20' });
    const runId = await startRun(server);
    await waitFor('the model to be asked', () => held.length === 1);
    const socket = await following(server, runId);
    const idle = await connectedSocket(server.url, KEY);
    idle.send({ id: '1', type: 'subscribe', payload: { query: '{ viewer { version } }' } });
    server.kill();
    await asked(server);
    complete(held[0]!);
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect((await socket.closed).code).toBe(1012);
    expect((await idle.closed).code).toBe(1012);
    const last = socket.messages.findLast(({ type }) => type === 'next');
    expect(last?.payload).toEqual({ data: { runEvents: { __typename: 'RunStatusChanged', status: 'COMPLETED' } } });

    const again = await start();
    expect(await runNow(again, runId)).toMatchObject({
      status: 'COMPLETED',
      attempt: 1,
      messages: { nodes: [{ text: 'Half and half', status: 'COMPLETED' }] },
    });
  });

  test('hands a run back that cannot, and the next start completes it', async () => {
    const server = await start({ DRAIN_SECONDS: '1' });
    const runId = await startRun(server);
    await waitFor('the model to be asked', () => held.length === 1);
    const socket = await following(server, runId);
    const since = performance.now();
    server.kill();
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - since).toBeLessThan(20_000);
    expect((await socket.closed).code).toBe(1012);
    // An end of its stream would tell the reader that the run is over.
    expect(socket.messages.some(({ type }) => type === 'complete')).toBe(false);

    holds = false;
    const again = await start();
    const run = await runThat(again, runId, 'COMPLETED');
    expect(run.messages.nodes.filter(({ status }) => status === 'COMPLETED').map(({ text }) => text)).toEqual([
      'Half and half',
    ]);
  });

  test('is not held up by a client that says nothing', async () => {
    const server = await start({ DRAIN_SECONDS: '0' });
    const { port } = new URL(server.url);
    const silent = connect(Number(port), '127.0.0.1');
    silent.on('error', () => {}); // being cut off is the point
    await new Promise((resolve) => silent.once('connect', resolve));
    const key = createHash('md5').update('silent').digest('base64');
    silent.write(
      `GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await new Promise((resolve) => silent.once('data', resolve));
    const half = connect(Number(port), '127.0.0.1');
    half.on('error', () => {}); // the same
    half.write('POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n');
    await new Promise((resolve) => half.once('connect', resolve));
    const since = performance.now();
    server.kill();
    expect(await server.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - since).toBeLessThan(20_000);
    silent.destroy();
    half.destroy();
  });

  test('is answered by not being ready, to who is still connected', async () => {
    const server = await start({ DRAIN_SECONDS: '20' });
    await startRun(server);
    await waitFor('the model to be asked', () => held.length === 1);
    const { hostname, port } = new URL(server.url);
    const connection = connect(Number(port), hostname);
    await new Promise((resolve) => connection.once('connect', resolve));
    let text = '';
    connection.setEncoding('utf8').on('data', (part: string) => (text += part));
    // A request that is under way is not cut off with the idle ones.
    connection.write('GET /health/ready HTTP/1.1\r\nHost: localhost\r\n');
    await ask(server, '{ viewer { version } }');
    server.kill();
    await asked(server);
    connection.write('\r\n');
    await waitFor('the answer', () => text.includes('shutting down'));
    expect(text).toMatch(/^HTTP\/1.1 503/);
    complete(held[0]!);
    expect(await server.ended).toEqual({ code: 0, signal: null });
    connection.destroy();
  });
});

test('a second Ctrl-C does not wait any longer, and nothing is lost', async () => {
  const server = await start({ DRAIN_SECONDS: '300' });
  const runId = await startRun(server);
  await waitFor('the model to be asked', () => held.length === 1);
  server.kill('SIGINT');
  await asked(server);
  const since = performance.now();
  server.kill('SIGINT');
  expect(await server.ended).toEqual({ code: 1, signal: null });
  expect(performance.now() - since).toBeLessThan(20_000);
  holds = false;
  const again = await start({ LEASE_SECONDS: '2', HEARTBEAT_SECONDS: '1' });
  await runThat(again, runId, 'COMPLETED');
});

test('the log tells of runs by their ids, and holds neither keys nor what was said', async () => {
  const canary = (what: string) => `canary-${what}-7f3a`;
  const server = await start({ OPENAI_BASE_URL: '' });
  const tools = [
    {
      function: {
        name: 'look_up',
        description: canary('description'),
        parameters: { type: 'object', properties: { what: { type: 'string' } } },
      },
    },
  ];
  const runId = await startRun(server, `Please look up ${canary('message')}`, {
    model: 'offline',
    instructions: canary('instructions'),
    name: canary('name'),
    tools,
  });
  const { requiredAction } = await runThat(server, runId, 'REQUIRES_ACTION');
  const input = {
    runId,
    toolOutputs: requiredAction!.toolCalls.map(({ id }) => ({ toolCallId: id, output: canary('output') })),
  };
  await ask(
    server,
    'mutation ($input: SubmitToolOutputsInput!) { submitToolOutputs(input: $input) { run { id } userErrors { message } } }',
    { input },
  );
  const run = await runThat(server, runId, 'COMPLETED');
  expect(run.messages.nodes.map(({ text }) => text).join()).toContain(canary('output'));
  await send(server.url, { body: operation(`{ ${canary('query')} }`), headers: jsonWith(KEY) });
  await send(server.url, { body: operation('{ viewer { version } }'), headers: jsonWith(canary('wrong-key')) });
  const socket = await following(server, runId);
  socket.send('{ no json');
  await socket.closed;
  server.kill();
  await server.ended;
  expect(server.output()).not.toContain('canary');
  expect(JSON.stringify(server.log())).not.toContain(KEY);
  expect(server.log().some((line) => line.runId === runId)).toBe(true);
  // The lines around the link are for people; everything else is structured.
  const loose = server
    .output()
    .split('\n')
    .filter((line) => line && !line.startsWith('{'));
  expect(loose).toEqual([
    `Skein listens on ${server.url}`,
    `The playground, with your key: ${server.link}`,
    `GraphiQL, to write operations by hand: ${server.url}/graphql`,
  ]);
});

describe('a server that cannot start', () => {
  test('names the variable that it cannot use, and ends with 1', async () => {
    const { ended, output } = spawnMain({ DATA_DIR: database.dataDir, PORT: 'eighty', DRAIN_SECONDS: 'soon' });
    expect((await ended).code).toBe(1);
    expect(output()).toMatch(/PORT: [^]*DRAIN_SECONDS: /);
  });

  test('says that its port is taken, and lets go of its data', async () => {
    const server = await start();
    const { port } = new URL(server.url);
    const other = await testDatabase();
    const { ended, output } = spawnMain({ DATA_DIR: other.dataDir, DATABASE_URL: other.databaseUrl ?? '', PORT: port });
    expect((await ended).code).toBe(1);
    expect(output()).toMatch(/Skein cannot start: .*EADDRINUSE/);
    await other.dispose();
  });
});
