import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Conversation, conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import { FollowRunDocument, RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { scriptedTools, type ToolScript } from './scripted-tools.ts';
import { delta, finish, streamTo } from '../llm/model-server.ts';
import { becomes, bodies, calls, openStage, type RunDetails, type Scene, says, type Stage, WEATHER } from './stage.ts';

let script: Required<ToolScript>;
let stage: Stage;
beforeAll(async () => {
  stage = await openStage(
    {},
    scriptedTools({
      search: (query, signal) => script.search(query, signal),
      run: (code, report, signal) => script.run(code, report, signal),
    }),
  );
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
  script = { search: (query) => [`about ${query}`], run: () => {} };
});

const FILE_SEARCH = { fileSearch: {} };
const CODE = { codeInterpreter: {} };
const search = (query: string, id?: string) => ({ id, name: 'file_search', arguments: JSON.stringify({ query }) });
const code = (text: string) => ({ name: 'code_interpreter', arguments: JSON.stringify({ code: text }) });

const callsOf = (run: RunDetails) =>
  run.steps.nodes.flatMap(({ details }) => (details.__typename === 'ToolCallsDetails' ? details.toolCalls : []));

/** The run's events up to its end, folded at every place; the last state is what must be stored. */
async function folded(runId: string, after: string) {
  let state: Conversation = { ...emptyConversation(), cursor: after };
  const types: string[] = [];
  for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after })) {
    state = fold(state, runEvents);
    types.push(runEvents.__typename);
  }
  return { types, state };
}

async function expectFoldedIsStored(runId: string, state: Conversation) {
  const stored = conversationOf(await stage.app.query(RunDetailsDocument, { id: runId }))!;
  expect(state.runs[0]!.steps).toEqual(stored.runs[0]!.steps);
  expect(state.messages.map(({ content }) => content)).toEqual(stored.messages.map(({ content }) => content));
}

describe('a turn that calls hosted tools', () => {
  test('makes them all at once, keeps what came out and goes on with the next turn by itself', async () => {
    const both = Promise.withResolvers<void>();
    const asked: string[] = [];
    script.search = async (query) => {
      if (asked.push(query) === 2) both.resolve();
      await both.promise; // each waits until the other runs too
      return [`about ${query}`];
    };
    stage.scenes.push(calls([search('cats', 'a'), search('dogs', 'b')]), says('Both are animals.'));
    const { runId, cursor } = await stage.start({ tools: [FILE_SEARCH] });
    const { types, state } = await folded(runId, cursor);
    const run = await stage.details(runId);
    expect(run.status).toBe('COMPLETED');
    expect(callsOf(run)).toMatchObject([
      { __typename: 'FileSearchToolCall', status: 'COMPLETED', queries: ['cats'], results: [{ text: 'about cats' }] },
      { __typename: 'FileSearchToolCall', status: 'COMPLETED', queries: ['dogs'], results: [{ text: 'about dogs' }] },
    ]);
    await expectFoldedIsStored(runId, state);
    expect(types.filter((type) => type === 'RunStepFinished')).toHaveLength(2);
    const [, second] = bodies(stage.model);
    expect(second!.messages.slice(-3)).toEqual([
      expect.objectContaining({
        role: 'assistant',
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'file_search', arguments: '{"query":"cats"}' } },
          { id: 'b', type: 'function', function: { name: 'file_search', arguments: '{"query":"dogs"}' } },
        ],
      }),
      { role: 'tool', tool_call_id: 'a', content: 'about cats' },
      { role: 'tool', tool_call_id: 'b', content: 'about dogs' },
    ]);
    expect(second!.tools.map((tool: any) => tool.function.name)).toEqual(['file_search']);
    expect(run.usage).toMatchObject({ promptTokens: 6, completionTokens: 4 });
  });

  test('and functions makes its own first and leaves the functions to the caller', async () => {
    stage.scenes.push(calls([{ id: 'f', arguments: '{}' }, search('cats', 's')]), says('Done.'));
    const { runId, cursor } = await stage.start({ tools: [FILE_SEARCH, WEATHER] });
    await stage.follow(runId, becomes('REQUIRES_ACTION'));
    const waiting = await stage.details(runId);
    expect(waiting.requiredAction!.toolCalls).toMatchObject([{ name: 'weather' }]);
    expect(callsOf(waiting)).toMatchObject([{ status: 'IN_PROGRESS' }, { status: 'COMPLETED', queries: ['cats'] }]);
    await stage.submit(runId, { [waiting.requiredAction!.toolCalls[0]!.id]: 'sun' });
    const { state } = await folded(runId, cursor);
    await expectFoldedIsStored(runId, state);
    expect(bodies(stage.model)[1]!.messages.slice(-2)).toEqual([
      { role: 'tool', tool_call_id: 'f', content: 'sun' },
      { role: 'tool', tool_call_id: 's', content: 'about cats' },
    ]);
    expect((await stage.details(runId)).status).toBe('COMPLETED');
  });

  test('shows what comes out while the call still runs, to events and to queries alike', async () => {
    const on = Promise.withResolvers<void>();
    script.run = async (text, report) => {
      expect(text).toBe('print(1)');
      report({ type: 'logs', logs: '1' });
      report({ type: 'logs', logs: '\n' });
      await on.promise;
      report({ type: 'logs', logs: 'end' });
    };
    stage.scenes.push(calls([code('print(1)')]), says('Done.'));
    const { runId, cursor } = await stage.start({ tools: [CODE] });
    let state: Conversation = { ...emptyConversation(), cursor };
    let looked = false;
    for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
      state = fold(state, runEvents);
      const call = state.runs[0]?.steps[0]?.details;
      const [known] = call?.__typename === 'ToolCallsDetails' ? call.toolCalls : [];
      const logs = known?.__typename === 'CodeInterpreterToolCall' ? known.outputs : [];
      if (!looked && JSON.stringify(logs).includes('1\\n')) {
        looked = true;
        const [stored] = callsOf(await stage.details(runId));
        expect(stored).toMatchObject({ status: 'IN_PROGRESS', outputs: [{ logs: '1\n' }] });
        on.resolve();
      }
    }
    const [call] = callsOf(await stage.details(runId));
    expect(call).toMatchObject({ status: 'COMPLETED', input: 'print(1)', outputs: [{ logs: '1\nend' }] });
    await expectFoldedIsStored(runId, state);
  });

  test('shows code as the model writes it, and what it draws before what the run says next', async () => {
    script.run = (_code, report) => report({ type: 'image', fileId: 'file_drawn' });
    const pieces = ['{"co', 'de": "plot(\\"a', '\\u00e4', '\\', 'n\\ud83d', '\\ude00\\")"', '}'];
    const written = pieces.map((part, i) =>
      delta({
        tool_calls: [
          i === 0
            ? { index: 0, id: 'c', type: 'function', function: { name: 'code_interpreter', arguments: part } }
            : { index: 0, function: { arguments: part } },
        ],
      }),
    );
    const writes: Scene = ({ response }) => {
      const stream = streamTo(response);
      for (const chunk of written) stream.send(chunk);
      stream.send(finish('tool_calls'));
      stream.end();
    };
    stage.scenes.push(writes, says('Here it is.'));
    const { runId, cursor } = await stage.start({ tools: [CODE] });
    const inputs: string[] = [];
    let state: Conversation = { ...emptyConversation(), cursor };
    for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
      state = fold(state, runEvents);
      if (runEvents.__typename !== 'RunStepDelta') continue;
      for (const call of runEvents.toolCalls) {
        if (call.__typename === 'CodeInterpreterToolCallDelta' && call.input) inputs.push(call.input);
      }
    }
    expect(inputs.join('')).toBe('plot("aä\n😀")');
    for (const input of inputs) expect(input.isWellFormed()).toBe(true);
    await expectFoldedIsStored(runId, state);
    const run = await stage.details(runId);
    expect(callsOf(run)).toMatchObject([{ input: 'plot("aä\n😀")', outputs: [{ fileId: 'file_drawn' }] }]);
    expect(run.messages.nodes[0]!.content).toMatchObject([
      { __typename: 'ImageFileContent', fileId: 'file_drawn' },
      { __typename: 'TextContent', value: 'Here it is.' },
    ]);
  });

  test('whose tool fails tells the model so, and the run goes on', async () => {
    script.search = () => {
      throw new Error('a fault of ours, with a secret');
    };
    stage.scenes.push(calls([search('cats')]), says('Sorry.'));
    const run = await stage.perform({ tools: [FILE_SEARCH] });
    expect(run.status).toBe('COMPLETED');
    expect(callsOf(run)).toMatchObject([{ status: 'FAILED' }]);
    expect(bodies(stage.model)[1]!.messages.at(-1).content).toBe('The tool failed on this server.');
  });
});

describe('a run whose hosted call is running', () => {
  let on: PromiseWithResolvers<void>;
  let seen: PromiseWithResolvers<AbortSignal>;
  beforeEach(() => {
    on = Promise.withResolvers();
    seen = Promise.withResolvers();
    script.search = async (query, signal) => {
      seen.resolve(signal);
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await Promise.race([on.promise, aborted]);
      return [query];
    };
  });
  afterEach(() => on.resolve());

  test('is cancelled at once, and its call with it', async () => {
    stage.scenes.push(calls([search('cats')]));
    const { runId, cursor } = await stage.start({ tools: [FILE_SEARCH] });
    const signal = await seen.promise;
    const asked = performance.now();
    await stage.cancel(runId);
    const { state } = await folded(runId, cursor);
    expect(performance.now() - asked).toBeLessThan(1000);
    expect(signal.aborted).toBe(true);
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'CANCELLED', usage: { totalTokens: 5 } });
    expect(callsOf(run)).toMatchObject([{ status: 'CANCELLED' }]);
    await expectFoldedIsStored(runId, state);
  });

  test('is not kept by a tool that goes on, and its thread is free', async () => {
    script.search = async (query, signal) => {
      seen.resolve(signal);
      await on.promise;
      return [query];
    };
    stage.scenes.push(calls([search('cats')]));
    const { runId, threadId } = await stage.start({ tools: [FILE_SEARCH] });
    await seen.promise;
    await stage.cancel(runId);
    await stage.follow(runId);
    expect((await stage.details(runId)).status).toBe('CANCELLED');
    expect((await stage.say(threadId, 'Free?')).userErrors).toEqual([]);
  });

  test('is handed back by a server that stops, and made again by the next one without asking the model again', async () => {
    stage.scenes.push(calls([search('cats')]), says('Done.'));
    const { runId } = await stage.start({ tools: [FILE_SEARCH] });
    await seen.promise;
    on.resolve();
    on = Promise.withResolvers();
    on.resolve();
    await stage.app.restart();
    await stage.follow(runId);
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1 });
    expect(bodies(stage.model)).toHaveLength(2);
    expect(callsOf(run)).toMatchObject([{ status: 'COMPLETED', queries: ['cats'] }]);
  });
});
