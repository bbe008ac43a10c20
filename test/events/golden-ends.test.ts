import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CancelRunDocument,
  CreateMessageDocument,
  DeleteMessageDocument,
  SubmitToolOutputsDocument,
} from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { shapeOf } from './shape.ts';
import { createAssistant, expectFaithful, foldAll, stored, tell, visible } from './story.ts';

const BEGUN = ['RunStatusChanged QUEUED', 'RunStatusChanged IN_PROGRESS'];
const MESSAGE = ['RunStepCreated MESSAGE_CREATION', 'MessageCreated ASSISTANT'];
const CANCELLED = ['RunStatusChanged CANCELLING', 'RunStatusChanged CANCELLED'];

describe('the last events of a run', () => {
  let model: HeldModel;
  let skein: TestSkein;
  let assistant: string;

  beforeAll(async () => {
    model = await openHeldModel();
    skein = await startSkein({ OPENAI_BASE_URL: model.url, RUN_CONCURRENCY: '1' });
    assistant = await createAssistant(skein, ['get_temp', 'get_rain']);
  });

  afterAll(async () => {
    await skein?.close();
    await model?.close();
  });

  const cancel = (runId: string) => skein.query(CancelRunDocument, { input: { runId } });

  test('cancelled while it speaks, a run keeps what was said', async () => {
    const story = await tell(skein, assistant, 'A story.');
    const answer = await model.asked();
    answer.say('Once');
    await story.live.until(({ state }) => state.messages.at(-1)?.text === 'Once');
    answer.say(' upon');
    await story.live.until(({ state }) => state.messages.at(-1)?.text === 'Once upon');
    const { cancelRun } = await cancel(story.runId);
    expect(cancelRun.run!.status).toMatch(/^CANCEL(LING|LED)$/);
    const events = await expectFaithful(skein, story);
    await answer.closed;

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta Once upon',
      'RunStatusChanged CANCELLING',
      'MessageFinished INCOMPLETE RUN_CANCELLED',
      'RunStepFinished CANCELLED',
      'RunStatusChanged CANCELLED',
    ]);
    expect(events.at(-4)).toMatchObject({ run: { cancelledAt: null, expiresAt: expect.any(String) } });
    const usage = { totalTokens: expect.any(Number) };
    expect(events.at(-2)).toMatchObject({ step: { usage, cancelledAt: expect.any(String), lastError: null } });
    expect(events.at(-1)).toMatchObject({
      run: { usage, cancelledAt: expect.any(String), expiresAt: null, lastError: null },
    });
  });

  test('cancelled while it writes its tool calls, a run keeps what was written of them', async () => {
    const story = await tell(skein, assistant, 'The weather.');
    const answer = await model.asked();
    answer.call(0, 'get_temp', '', '{"ci');
    await story.live.until(({ state }) => JSON.stringify(state.runs).includes('{\\"ci'));
    await cancel(story.runId);
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      'RunStepCreated TOOL_CALLS',
      'RunStepDelta get_temp({"ci)',
      'RunStatusChanged CANCELLING',
      'RunStepFinished CANCELLED',
      'RunStatusChanged CANCELLED',
    ]);
    expect(events.at(-2)).toMatchObject({
      step: { details: { toolCalls: [{ name: 'get_temp', arguments: '{"ci', status: 'CANCELLED', output: null }] } },
    });
  });

  test('cancelled while it waits for outputs, a run cancels its calls', async () => {
    const story = await tell(skein, assistant, 'The weather.');
    const answer = await model.asked();
    answer.call(0, 'get_temp', '{}');
    answer.call(1, 'get_rain', '{}');
    answer.end('tool_calls');
    await story.live.until(({ state }) => state.runs[0]?.status === 'REQUIRES_ACTION');
    const [call] = story.live.state.runs[0]!.requiredAction!.toolCalls;
    expect((await cancel(story.runId)).cancelRun.run!.status).toBe('CANCELLED');
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      'RunStepCreated TOOL_CALLS',
      'RunStepDelta get_temp({}) get_rain({})',
      'RunStatusChanged REQUIRES_ACTION',
      'RunStatusChanged CANCELLING',
      'RunStepFinished CANCELLED',
      'RunStatusChanged CANCELLED',
    ]);
    expect(events.at(-2)).toMatchObject({
      step: {
        details: {
          toolCalls: [
            { status: 'CANCELLED', output: null },
            { status: 'CANCELLED', output: null },
          ],
        },
      },
    });
    const late = await skein.query(SubmitToolOutputsDocument, {
      input: { runId: story.runId, toolOutputs: [{ toolCallId: call!.id, output: 'late' }] },
    });
    expect(late.submitToolOutputs.userErrors).toMatchObject([{ code: 'WRONG_RUN_STATUS', status: 'CANCELLED' }]);
  });

  test('cancelled while it is queued, a run never begins', async () => {
    const first = await tell(skein, assistant, 'Keep the one worker busy.');
    const answer = await model.asked();
    const story = await tell(skein, assistant, 'Nobody has time for this.');
    await cancel(story.runId);
    expect(shapeOf(await expectFaithful(skein, story))).toEqual(['RunStatusChanged QUEUED', ...CANCELLED]);
    answer.say('Done.');
    answer.end();
    await first.told();
  });

  test('a refusal is content of its own', async () => {
    const story = await tell(skein, assistant, 'Something evil.');
    const answer = await model.asked();
    answer.refuse('I will', ' not', ' do that.');
    answer.end();
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta I will not do that.',
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStatusChanged COMPLETED',
    ]);
    expect(events.at(-3)).toMatchObject({
      message: { text: '', content: [{ __typename: 'RefusalContent', value: 'I will not do that.' }] },
    });
  });

  test('a content filter ends message and run', async () => {
    const story = await tell(skein, assistant, 'Something grey.');
    const answer = await model.asked();
    answer.say('Well, ');
    answer.end('content_filter');
    expect(shapeOf(await expectFaithful(skein, story)).slice(-4)).toEqual([
      'MessageDelta Well, ',
      'MessageFinished INCOMPLETE CONTENT_FILTER',
      'RunStepFinished FAILED',
      'RunStatusChanged FAILED',
    ]);
  });

  test('tool calls that are cut off by the token limit end with their run', async () => {
    const story = await tell(skein, assistant, 'The weather, briefly.');
    const answer = await model.asked();
    answer.call(0, 'get_temp', '{"city":"Os');
    answer.end('length');
    const events = await expectFaithful(skein, story);
    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      'RunStepCreated TOOL_CALLS',
      'RunStepDelta get_temp({"city":"Os)',
      'RunStepFinished COMPLETED',
      'RunStatusChanged INCOMPLETE',
    ]);
  });

  test('an answer without a word is an empty message', async () => {
    const story = await tell(skein, assistant, 'Say nothing.');
    (await model.asked()).end();
    expect(shapeOf(await expectFaithful(skein, story))).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageFinished COMPLETED',
      'RunStepFinished COMPLETED',
      'RunStatusChanged COMPLETED',
    ]);
  });

  test('what callers add and delete afterwards is told in the same log', async () => {
    const story = await tell(skein, assistant, 'Hello.');
    const answer = await model.asked();
    answer.say('Hello!');
    answer.end();
    await story.told();
    const { createMessage } = await skein.query(CreateMessageDocument, {
      input: { threadId: story.threadId, content: [{ text: 'One more thing.' }] },
    });
    await skein.query(DeleteMessageDocument, { input: { messageId: story.live.state.messages[0]!.id } });
    await story.live.until(({ events }) => events.at(-1)?.__typename === 'MessageDeleted');
    expect(shapeOf(story.live.events).slice(-3)).toEqual([
      'MessageCreated USER',
      'MessageFinished COMPLETED',
      'MessageDeleted',
    ]);
    expect(story.live.state.messages.map(({ text }) => text)).toEqual(['Hello!', 'One more thing.']);
    expect(story.live.state.messages.at(-1)).toEqual(createMessage.message);
    const store = await stored(skein, story.threadId);
    expect(visible(foldAll(story.live.events))).toEqual(visible(store));
  });
});

describe('the last events of a run whose time is over', () => {
  let model: HeldModel;
  let skein: TestSkein;
  let assistant: string;

  beforeAll(async () => {
    model = await openHeldModel();
    skein = await startSkein({ OPENAI_BASE_URL: model.url, RUN_EXPIRES_AFTER_SECONDS: '1' });
    assistant = await createAssistant(skein, ['get_temp']);
  });

  afterAll(async () => {
    await skein?.close();
    await model?.close();
  });

  test('one that speaks keeps what was said', async () => {
    const story = await tell(skein, assistant, 'A long story.');
    const answer = await model.asked();
    answer.say('Once upon');
    const events = await expectFaithful(skein, story);
    await answer.closed;

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      ...MESSAGE,
      'MessageDelta Once upon',
      'MessageFinished INCOMPLETE RUN_EXPIRED',
      'RunStepFinished EXPIRED',
      'RunStatusChanged EXPIRED',
    ]);
    expect(events.at(-2)).toMatchObject({ step: { expiredAt: expect.any(String), lastError: null } });
    expect(events.at(-1)).toMatchObject({
      run: { expiresAt: null, completedAt: null, failedAt: null, lastError: null },
    });
  });

  test('one that waits for outputs ends with its calls unanswered', async () => {
    const story = await tell(skein, assistant, 'The weather.');
    const answer = await model.asked();
    answer.call(0, 'get_temp', '{}');
    answer.end('tool_calls');
    const events = await expectFaithful(skein, story);

    expect(shapeOf(events)).toEqual([
      ...BEGUN,
      'RunStepCreated TOOL_CALLS',
      'RunStepDelta get_temp({})',
      'RunStatusChanged REQUIRES_ACTION',
      'RunStepFinished EXPIRED',
      'RunStatusChanged EXPIRED',
    ]);
    expect(events.at(-2)).toMatchObject({
      step: { expiredAt: expect.any(String), details: { toolCalls: [{ output: null }] } },
    });
    expect(events.at(-1)).toMatchObject({ run: { requiredAction: null, usage: { totalTokens: 12 } } });
  });
});
