import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { graphql } from '../../src/generated/tests/gql.ts';
import {
  CancelRunDocument,
  ConversationDocument,
  CreateAssistantDocument,
  FollowRunDocument,
  type FollowRunSubscription,
  RunDetailsDocument,
  StartRunDocument,
  SubmitToolOutputsDocument,
} from '../../src/generated/graphql/graphql.ts';
import { TEST_DATABASE_URL, testDatabase, type TestDatabase } from '../database.ts';
import { answerOk, delta, finish, type ModelServer, openModelServer } from '../llm/model-server.ts';
import { type ServerProcess, startServerProcess } from './server-process.ts';
import { becomes, bodies, callChunks, calls, isFinal, live, says, type Scene, WEATHER } from './stage.ts';

const MessageNode = graphql(`
  query MessageNode($id: ID!) {
    node(id: $id) {
      ... on Message {
        text
        status
        incompleteDetails {
          reason
        }
      }
    }
  }
`);

type RunEvent = FollowRunSubscription['runEvents'];

const scenes: Scene[] = [];
const processes: ServerProcess[] = [];
let model: ModelServer;
let database: TestDatabase;
beforeAll(async () => {
  model = await openModelServer((exchange) => (scenes.shift() ?? answerOk)(exchange));
});
afterAll(() => model.close());
beforeEach(async () => {
  scenes.length = 0;
  model.requests.length = 0;
  database = await testDatabase();
});
afterEach(async () => {
  for (const server of processes.splice(0)) await server.kill();
  await database.dispose();
});

async function server(environment: Record<string, string> = {}): Promise<ServerProcess> {
  const started = await startServerProcess(database, { OPENAI_BASE_URL: model.url, ...environment });
  processes.push(started);
  return started;
}

async function start(on: ServerProcess): Promise<{ runId: string; threadId: string; cursor: string }> {
  const { createAssistant } = await on.query(CreateAssistantDocument, { input: { model: 'test-model' } });
  const thread = { messages: [{ content: [{ text: 'Hello' }] }] };
  const { startRun } = await on.query(StartRunDocument, {
    input: { assistantId: createAssistant.assistant!.id, thread, tools: [WEATHER] },
  });
  const { id, thread: made, cursor } = startRun.run!;
  return { runId: id, threadId: made.id, cursor };
}

/** The run's events behind a cursor, up to the first that `isLast` says yes to, or to its end. */
async function follow(
  on: ServerProcess,
  runId: string,
  after: string,
  isLast: (event: RunEvent) => boolean = () => false,
): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const { runEvents } of on.follow(FollowRunDocument, { runId, after })) {
    events.push(runEvents);
    if (isLast(runEvents)) break;
  }
  return events;
}

const details = async (on: ServerProcess, runId: string) => (await on.query(RunDetailsDocument, { id: runId })).run!;
const texts = (run: { messages: { nodes: { text: string }[] } }): string[] =>
  run.messages.nodes.map(({ text }) => text);

/** What a reader who keeps to the events has in the end: what was superseded is dropped. */
function folded(events: RunEvent[]): string[] {
  const messages = new Map<string, string>();
  for (const event of events) {
    if (event.__typename === 'MessageDelta') {
      for (const part of event.content) {
        if (part.__typename !== 'TextDelta') continue;
        const text = messages.get(event.messageId) ?? '';
        messages.set(event.messageId, text.slice(0, part.offset) + part.value);
      }
    } else if (event.__typename === 'MessageFinished' && event.message.incompleteDetails?.reason === 'SUPERSEDED') {
      messages.delete(event.message.id);
    }
  }
  return [...messages.values()];
}

describe('a server that was killed', { timeout: 240_000 }, () => {
  test('in the middle of a message does the turn again after its restart, and the half message counts for nothing', async () => {
    const half = live();
    scenes.push(half.scene, says('The whole answer', { usage: [11, 4] }));
    const first = await server();
    const { runId, threadId, cursor } = await start(first);
    (await half.asked).send(delta({ content: 'The who' }));
    const before = await follow(first, runId, cursor, (event) => event.__typename === 'MessageDelta');
    await first.kill();
    const second = await server();
    const events = [...before, ...(await follow(second, runId, before.at(-1)!.cursor))];
    const run = await details(second, runId);
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 2, usage: { promptTokens: 11, completionTokens: 4 } });
    expect(texts(run)).toEqual(['The whole answer']);
    expect(run.steps.nodes.filter(({ status }) => status === 'COMPLETED')).toHaveLength(1);
    const { thread } = await second.query(ConversationDocument, { threadId });
    expect(thread!.messages.nodes.map(({ text }) => text)).toEqual(['Hello', 'The whole answer']);
    const superseded = before.find((event) => event.__typename === 'MessageCreated')!.message.id;
    const { node } = await second.query(MessageNode, { id: superseded });
    expect(node).toEqual({ text: 'The who', status: 'INCOMPLETE', incompleteDetails: { reason: 'SUPERSEDED' } });
    expect(folded(events)).toEqual(['The whole answer']);
    expect(bodies(model)[1]!.messages).toEqual(bodies(model)[0]!.messages);
  });

  test('while a run waits for tool outputs has lost nothing', async () => {
    scenes.push(calls([{ id: 'theirs', arguments: '{"city":"Rome"}' }]), says('Sun'));
    const first = await server();
    const { runId, cursor } = await start(first);
    await follow(first, runId, cursor, becomes('REQUIRES_ACTION'));
    await first.kill();
    const second = await server();
    const { requiredAction, status } = await details(second, runId);
    expect(status).toBe('REQUIRES_ACTION');
    const toolOutputs = requiredAction!.toolCalls.map(({ id }) => ({ toolCallId: id, output: 'sun' }));
    await second.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } });
    await follow(second, runId, cursor);
    const run = await details(second, runId);
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(texts(run)).toEqual(['Sun']);
    expect(bodies(model)[1]!.messages.at(-1)).toEqual({ role: 'tool', tool_call_id: 'theirs', content: 'sun' });
  });

  test('in the middle of tool calls makes them again, and a message before them is not said twice', async () => {
    const half = live();
    scenes.push(half.scene, calls([{ arguments: '{"city":"Rome"}' }], { text: 'I shall look.' }));
    const first = await server();
    const { runId, cursor } = await start(first);
    (await half.asked).send(delta({ content: 'I look.' }), ...callChunks([{ arguments: '{"ci' }]));
    const before = await follow(first, runId, cursor, (event) => event.__typename === 'RunStepDelta');
    await first.kill();
    const second = await server();
    const events = [...before, ...(await follow(second, runId, before.at(-1)!.cursor, becomes('REQUIRES_ACTION')))];
    const run = await details(second, runId);
    expect(run).toMatchObject({
      status: 'REQUIRES_ACTION',
      attempt: 2,
      requiredAction: { toolCalls: [{ arguments: '{"city":"Rome"}' }] },
    });
    expect(texts(run)).toEqual(['I shall look.']);
    expect(folded(events)).toEqual(['I shall look.']);
    expect(bodies(model)[1]!.messages).toEqual(bodies(model)[0]!.messages);
  });

  test('after it was asked to cancel a run does not begin it again', async () => {
    const half = live(false);
    scenes.push(half.scene);
    const first = await server();
    const { runId, cursor } = await start(first);
    await half.asked;
    const { cancelRun } = await first.query(CancelRunDocument, { input: { runId } });
    await first.kill();
    expect(['CANCELLING', 'CANCELLED']).toContain(cancelRun.run!.status);
    const second = await server();
    await follow(second, runId, cursor);
    expect((await details(second, runId)).status).toBe('CANCELLED');
    expect(model.requests).toHaveLength(1);
  });
});

describe.runIf(TEST_DATABASE_URL)('two servers on one database', { timeout: 240_000 }, () => {
  test('share the runs, and one that was asleep too long has lost its run and writes nothing more', async () => {
    const slept = live();
    scenes.push(slept.scene, says(['Written by ', 'the other']));
    const first = await server();
    const { runId, threadId, cursor } = await start(first);
    const stream = await slept.asked;
    stream.send(delta({ content: 'Before' }));
    const before = await follow(first, runId, cursor, (event) => event.__typename === 'MessageDelta');
    const second = await server();
    first.signal('SIGSTOP');
    stream.send(delta({ content: ' and late' }), delta({ content: ', very late' }), finish('stop'));
    stream.end();
    const after = await follow(second, runId, before.at(-1)!.cursor);
    expect(await details(second, runId)).toMatchObject({ status: 'COMPLETED', attempt: 2 });
    first.signal('SIGCONT');
    await slept.gone;
    // Both are of one mind, and the sleeper works on.
    const next = await start(first);
    await eventually(async () => expect(isFinal((await details(first, next.runId)).status)).toBe(true));
    for (const on of [first, second]) {
      const run = await details(on, runId);
      expect(run).toMatchObject({ status: 'COMPLETED', attempt: 2 });
      expect(texts(run)).toEqual(['Written by the other']);
      expect(folded(await follow(on, runId, cursor))).toEqual(['Written by the other']);
      const { thread } = await on.query(ConversationDocument, { threadId });
      expect(thread!.messages.nodes.map(({ text }) => text)).toEqual(['Hello', 'Written by the other']);
    }
    expect(JSON.stringify(await follow(first, runId, cursor))).not.toContain('late');
    expect(folded([...before, ...after])).toEqual(['Written by the other']);
  });
});
