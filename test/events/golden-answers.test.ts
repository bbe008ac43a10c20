import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SubmitToolOutputsDocument } from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { shapeOf } from './shape.ts';
import { createAssistant, expectFaithful, tell } from './story.ts';

// What the run as a whole does and tells, in the order of the reference; the model is a test double on real HTTP.
describe('the events of a run', () => {
  let model: LLMock;
  let skein: TestSkein;
  let plain: string;
  let weather: string;

  beforeAll(async () => {
    model = new LLMock({ port: 0, logLevel: 'silent' });
    await model.start();
    skein = await startSkein({ OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: 'test' });
    plain = await createAssistant(skein);
    weather = await createAssistant(skein, ['get_temp', 'get_rain']);
  });

  afterAll(async () => {
    await skein?.close();
    await model?.stop();
  });

  const BEGUN = ['RunStatusChanged QUEUED', 'RunStatusChanged IN_PROGRESS'];
  const MESSAGE = ['RunStepCreated MESSAGE_CREATION', 'MessageCreated ASSISTANT'];

  test('a plain answer is one step with one message', async () => {
    model.onMessage(
      'Which lake is the deepest?',
      { content: 'Lake Baikal is the deepest.', usage: { prompt_tokens: 41, completion_tokens: 6 } },
      { chunkSize: 5, latency: 8 },
    );
    const story = await tell(skein, plain, 'Which lake is the deepest?');
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta Lake Baikal is the deepest.',
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStatusChanged COMPLETED',
    ]);
    const usage = { promptTokens: 41, completionTokens: 6, totalTokens: 47 };
    expect(events.at(-2)).toMatchObject({ step: { usage, completedAt: expect.any(String) } });
    expect(events.at(-1)).toMatchObject({
      run: { usage, expiresAt: null, lastError: null, completedAt: expect.any(String) },
    });
    expect(shapeOf(await story.told()).slice(0, 2)).toEqual(['MessageCreated USER', 'MessageFinished COMPLETED']);
  });

  test('two parallel functions wait for their outputs, and the run goes on with them', async () => {
    const oslo = '{"city":"Oslo"}';
    model.on(
      { userMessage: 'weather in Oslo', hasToolResult: false },
      {
        toolCalls: [
          { name: 'get_temp', arguments: oslo },
          { name: 'get_rain', arguments: oslo },
        ],
        usage: { prompt_tokens: 96, completion_tokens: 34 },
      },
      { chunkSize: 6, latency: 8 },
    );
    model.on(
      { userMessage: 'weather in Oslo', hasToolResult: true },
      { content: 'Oslo: -4 C, 10% rain.', usage: { prompt_tokens: 151, completion_tokens: 9 } },
      { chunkSize: 6, latency: 8 },
    );
    const story = await tell(skein, weather, 'How is the weather in Oslo?');
    await story.live.until(({ state }) => state.runs.at(-1)?.status === 'REQUIRES_ACTION');
    const run = story.live.state.runs.at(-1)!;
    const [temp, rain] = run.requiredAction!.toolCalls;
    expect(run.requiredAction!.toolCalls).toEqual([
      { id: temp!.id, name: 'get_temp', arguments: oslo },
      { id: rain!.id, name: 'get_rain', arguments: oslo },
    ]);
    expect(temp!.id).not.toBe(rain!.id);
    expect(run).toMatchObject({ usage: null, expiresAt: expect.any(String) });
    expect(run.steps).toMatchObject([
      { status: 'IN_PROGRESS', details: { toolCalls: [{ output: null }, { output: null }] } },
    ]);
    await skein.query(SubmitToolOutputsDocument, {
      input: {
        runId: story.runId,
        toolOutputs: [
          { toolCallId: rain!.id, output: '0.1' },
          { toolCallId: temp!.id, output: '-4 C' },
        ],
      },
    });
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      'RunStepCreated TOOL_CALLS',
      `RunStepDelta get_temp(${oslo}) get_rain(${oslo})`,
      'RunStatusChanged REQUIRES_ACTION',
      'RunStepFinished COMPLETED',
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta Oslo: -4 C, 10% rain.',
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStatusChanged COMPLETED',
    ]);
    expect(events.find(({ __typename }) => __typename === 'RunStepFinished')).toMatchObject({
      step: {
        usage: { promptTokens: 96, completionTokens: 34, totalTokens: 130 },
        details: {
          toolCalls: [
            { id: temp!.id, status: 'COMPLETED', output: '-4 C' },
            { id: rain!.id, status: 'COMPLETED', output: '0.1' },
          ],
        },
      },
    });
    expect(events.at(-1)).toMatchObject({
      run: { usage: { promptTokens: 247, completionTokens: 43, totalTokens: 290 } },
    });
  });

  test('a turn that speaks before it calls is a message and then tool calls', async () => {
    model.on(
      { userMessage: 'rain in Bergen', hasToolResult: false },
      {
        content: 'I will look.',
        toolCalls: [{ name: 'get_rain', arguments: '{}' }],
        usage: { prompt_tokens: 10, completion_tokens: 5 },
      },
      { chunkSize: 4, latency: 4 },
    );
    model.on({ userMessage: 'rain in Bergen', hasToolResult: true }, { content: 'A lot.' });
    const story = await tell(skein, weather, 'Is there rain in Bergen?');
    await story.live.until(({ state }) => state.runs.at(-1)?.status === 'REQUIRES_ACTION');
    const [call] = story.live.state.runs.at(-1)!.requiredAction!.toolCalls;
    await skein.query(SubmitToolOutputsDocument, {
      input: { runId: story.runId, toolOutputs: [{ toolCallId: call!.id, output: 'yes' }] },
    });
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta I will look.',
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStepCreated TOOL_CALLS',
      'RunStepDelta get_rain({})',
      'RunStatusChanged REQUIRES_ACTION',
      'RunStepFinished COMPLETED',
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta A lot.',
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStatusChanged COMPLETED',
    ]);
    const finished = events.filter(({ __typename }) => __typename === 'RunStepFinished');
    expect(finished).toMatchObject([{ step: { usage: null } }, { step: { usage: { totalTokens: 15 } } }, {}]);
  });

  test('an answer that runs out of tokens is incomplete, and its step has nothing to report as an error', async () => {
    model.onMessage(
      'Write a novel.',
      { content: 'Chapter 1. It was', finishReason: 'length', usage: { prompt_tokens: 40, completion_tokens: 256 } },
      { chunkSize: 6, latency: 4 },
    );
    const events = await expectFaithful(
      skein,
      await tell(skein, plain, 'Write a novel.', { maxCompletionTokens: 256 }),
    );

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta Chapter 1. It was',
      'MessageFinished INCOMPLETE MAX_TOKENS',
      'RunStepFinished COMPLETED',
      'RunStatusChanged INCOMPLETE',
    ]);
    expect(events.at(-3)).toMatchObject({ message: { completedAt: null, incompleteAt: expect.any(String) } });
    expect(events.at(-2)).toMatchObject({ step: { lastError: null, usage: { completionTokens: 256 } } });
    expect(events.at(-1)).toMatchObject({
      run: {
        incompleteDetails: { reason: 'MAX_COMPLETION_TOKENS' },
        lastError: null,
        completedAt: null,
        failedAt: null,
        expiresAt: null,
      },
    });
  });

  test('a model server that breaks off in the middle fails message, step and run, innermost first', async () => {
    model.onMessage(
      'Break off.',
      { content: 'This will never be whole.' },
      { chunkSize: 5, latency: 4, truncateAfterChunks: 4 },
    );
    const events = await expectFaithful(skein, await tell(skein, plain, 'Break off.'));

    const shape = shapeOf(events);
    expect(shape.filter((line) => !line.startsWith('MessageDelta'))).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageFinished INCOMPLETE RUN_FAILED',
      'RunStepFinished FAILED',
      'RunStatusChanged FAILED',
    ]);
    expect('This will never be whole.').toContain(
      shape.find((line) => line.startsWith('MessageDelta'))!.slice('MessageDelta '.length),
    );
    const lastError = { code: 'SERVER_ERROR', message: expect.any(String) };
    expect(events.at(-2)).toMatchObject({ step: { lastError, failedAt: expect.any(String), completedAt: null } });
    expect(events.at(-1)).toMatchObject({ run: { lastError, failedAt: expect.any(String), expiresAt: null } });
  });

  test('a model server that refuses from the start fails the run before any step', async () => {
    model.onMessage('Too much.', {
      error: { message: 'You exceeded your quota.', type: 'insufficient_quota', code: 'insufficient_quota' },
      status: 429,
    });
    const events = await expectFaithful(skein, await tell(skein, plain, 'Too much.'));

    expect(shapeOf(events)).toEqual([...BEGUN, 'RunStatusChanged FAILED']);
    expect(events.at(-1)).toMatchObject({
      run: { lastError: { code: 'RATE_LIMIT_EXCEEDED', message: expect.stringContaining('quota') } },
    });
  });
});
