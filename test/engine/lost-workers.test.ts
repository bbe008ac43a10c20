import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  CreateAssistantDocument,
  FollowRunDocument,
  RunDetailsDocument,
  StartRunDocument,
  type StartRunInput,
  SubmitToolOutputsDocument,
} from '../../src/generated/graphql/graphql.ts';
import { testDatabase, type TestDatabase } from '../database.ts';
import { answerOk, delta, type ModelServer, openModelServer } from '../llm/model-server.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { becomes, bodies, calls, live, says, type Scene, WEATHER } from './stage.ts';

/** A call of a hosted tool that a server has made, to be answered when the test wants. */
interface Made {
  what: string;
  response: ServerResponse;
}

const scenes: Scene[] = [];
const processes: ServerProcess[] = [];
let made: Made[];
let waiting: ((call: Made) => void)[];
let model: ModelServer;
let tools: Server;
let database: TestDatabase;

/** The next call that a server makes. */
const nextCall = (): Promise<Made> => new Promise((resolve) => waiting.push(resolve));

beforeAll(async () => {
  model = await openModelServer((exchange) => (scenes.shift() ?? answerOk)(exchange));
  tools = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const call = { what: `${request.url} ${await text(request)}`, response };
    made.push(call);
    waiting.shift()?.(call);
  });
  tools.listen(0, '127.0.0.1');
  await once(tools, 'listening');
});
afterAll(async () => {
  tools.closeAllConnections();
  await new Promise((resolve) => tools.close(resolve));
  await model.close();
});
beforeEach(async () => {
  made = [];
  waiting = [];
  scenes.length = 0;
  model.requests.length = 0;
  database = await testDatabase();
});
afterEach(async () => {
  for (const server of processes.splice(0)) await server.kill();
  await database.dispose();
});

async function server(environment: Record<string, string> = {}): Promise<ServerProcess> {
  const TOOL_URL = `http://127.0.0.1:${(tools.address() as AddressInfo).port}`;
  const started = await startServerProcess(database, { OPENAI_BASE_URL: model.url, TOOL_URL, ...environment });
  processes.push(started);
  return started;
}

async function start(on: ServerProcess, given: StartRunInput['tools']) {
  const { createAssistant } = await on.query(CreateAssistantDocument, { input: { model: 'test-model' } });
  const thread = { messages: [{ content: [{ text: 'Hello' }] }] };
  const input = { assistantId: createAssistant.assistant!.id, thread, tools: given };
  const { startRun } = await on.query(StartRunDocument, { input });
  return { runId: startRun.run!.id, cursor: startRun.run!.cursor };
}

async function follow(on: ServerProcess, runId: string, after: string, isLast = becomes()): Promise<void> {
  for await (const { runEvents } of on.follow(FollowRunDocument, { runId, after })) if (isLast(runEvents)) return;
}

const details = async (on: ServerProcess, runId: string) => (await on.query(RunDetailsDocument, { id: runId })).run!;

const search = (query: string) => ({ name: 'file_search', arguments: JSON.stringify({ query }) });
const code = (source: string) => ({ name: 'code_interpreter', arguments: JSON.stringify({ code: source }) });
const HOSTED = [{ fileSearch: {} }, { codeInterpreter: {} }];

describe('a server that was killed while it made hosted calls', { timeout: 240_000 }, () => {
  test('has its searches made again, the finished one kept, and the model not asked again', async () => {
    scenes.push(calls([search('cats'), search('dogs')]), says('Both.'));
    const first = await server();
    const [one, two] = [nextCall(), nextCall()];
    const { runId, cursor } = await start(first, HOSTED);
    const both = await Promise.all([one, two]);
    both.find(({ what }) => what.endsWith('cats'))!.response.end('Cats purr.');
    await follow(
      first,
      runId,
      cursor,
      (event) =>
        event.__typename === 'RunStepDelta' &&
        event.toolCalls.some((call) => call.__typename === 'FileSearchToolCallDelta' && call.ended !== null),
    );
    await first.kill();
    const again = nextCall();
    const second = await server();
    (await again).response.end('Dogs bark.');
    await follow(second, runId, cursor);
    const run = await details(second, runId);
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(made.map(({ what }) => what).sort()).toEqual(['/search cats', '/search dogs', '/search dogs']);
    expect(bodies(model)).toHaveLength(2);
    expect(bodies(model)[1]!.messages.slice(-2).map(({ content }: { content: string }) => content)).toEqual([
      'Cats purr.',
      'Dogs bark.',
    ]);
  });

  test('never has its code run twice: the call fails, the model is told why, and the run goes on', async () => {
    scenes.push(calls([code('pay()')]), says('I shall look whether it was paid.'));
    const first = await server();
    const call = nextCall();
    const { runId, cursor } = await start(first, HOSTED);
    await call;
    await first.kill();
    const second = await server();
    await follow(second, runId, cursor);
    const run = await details(second, runId);
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    expect(made).toHaveLength(1);
    expect(run.steps.nodes[0]!.details).toMatchObject({ toolCalls: [{ __typename: 'CodeInterpreterToolCall', status: 'FAILED' }] });
    expect(bodies(model)[1]!.messages.at(-1)).toMatchObject({
      role: 'tool',
      content: expect.stringContaining('was lost'),
    });
  });
});

describe('a run whose workers are lost one after the other', { timeout: 240_000 }, () => {
  async function loseOne(scene: Scene, on: Promise<unknown>, environment: Record<string, string>): Promise<void> {
    scenes.push(scene);
    const next = await server(environment);
    await on;
    await next.kill();
  }

  test('fails with a reason when RUN_MAX_ATTEMPTS were lost at the same step', async () => {
    const environment = { RUN_MAX_ATTEMPTS: '2' };
    const [a, b] = [live(), live()];
    scenes.push(a.scene);
    const first = await server(environment);
    const { runId, cursor } = await start(first, []);
    (await a.asked).send(delta({ content: 'Half an' }));
    await follow(first, runId, cursor, (event) => event.__typename === 'MessageDelta');
    await first.kill();
    await loseOne(b.scene, b.asked, environment);
    const last = await server(environment);
    await follow(last, runId, cursor);
    const run = await details(last, runId);
    expect(run).toMatchObject({
      status: 'FAILED',
      attempt: 3,
      lastError: { code: 'SERVER_ERROR', message: expect.stringContaining('2 workers were lost') },
    });
    expect(bodies(model)).toHaveLength(2);
  });

  test('may lose as many again behind every step that was committed', async () => {
    const environment = { RUN_MAX_ATTEMPTS: '2' };
    const [a, b] = [live(), live()];
    scenes.push(a.scene);
    const first = await server(environment);
    const { runId, cursor } = await start(first, [WEATHER]);
    await a.asked;
    await first.kill();
    scenes.push(calls([{ arguments: '{}' }]));
    const second = await server(environment);
    await follow(second, runId, cursor, becomes('REQUIRES_ACTION'));
    const { requiredAction, attempt } = await details(second, runId);
    expect(attempt).toBe(2);
    scenes.push(b.scene);
    const toolOutputs = [{ toolCallId: requiredAction!.toolCalls[0]!.id, output: 'sun' }];
    await second.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } });
    await b.asked;
    await second.kill();
    scenes.push(says('It is sunny.'));
    const third = await server(environment);
    await follow(third, runId, cursor);
    expect(await details(third, runId)).toMatchObject({ status: 'COMPLETED', attempt: 3 });
  });
});
