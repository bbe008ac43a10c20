import { describe, expect, test } from 'vitest';
import {
  type Conversation,
  type ConversationEvent,
  conversationOf,
  emptyConversation,
  fold,
} from '../../src/client/fold.ts';
import {
  AT,
  type CallDelta,
  type ContentDelta,
  created,
  delta,
  finished,
  message,
  next,
  run,
  status,
  step,
  stepCreated,
  stepDelta,
  text,
} from './pieces.ts';

// What runs of a real server fold to is told in test/events; here is what such runs bring about seldom or never.

const after = (...events: ConversationEvent[]): Conversation => events.reduce(fold, emptyConversation());
const texts = ({ messages }: Conversation) => messages.map((one) => one.text);

describe('a message', () => {
  test('grows by deltas at their offsets, and one that comes twice does no harm', () => {
    const first = delta('msg_1', text(0, 'Lake '));
    const second = delta('msg_1', text(5, 'Baikal'));
    expect(texts(after(created(message('msg_1')), first, second))).toEqual(['Lake Baikal']);
    expect(texts(after(created(message('msg_1')), first, second, first, second))).toEqual(['Lake Baikal']);
    expect(texts(after(created(message('msg_1', 'Lake Bai')), second))).toEqual(['Lake Baikal']);
  });

  test('does not take what stands behind something that was never seen', () => {
    const gap = after(
      created(message('msg_1', 'Lake')),
      delta('msg_1', text(9, 'kal')),
      delta('msg_1', text(0, 'x', 4)),
    );
    expect(texts(gap)).toEqual(['Lake']);
    expect(texts(after(delta('msg_1', text(0, 'Lake'))))).toEqual([]);
  });

  test('keeps images and annotations, each once', () => {
    const annotation = { __typename: 'FilePath' as const, fileId: 'file_1', text: 'a.csv', startIndex: 0, endIndex: 5 };
    const event = delta('msg_1', { __typename: 'ImageFileDelta', index: 0, fileId: 'file_2' }, {
      ...text(0, 'a.csv', 1),
      annotations: [annotation],
    } as ContentDelta);
    expect(after(created(message('msg_1')), event, event).messages[0]!.content).toEqual([
      { __typename: 'ImageFileContent', fileId: 'file_2', detail: 'AUTO' },
      { __typename: 'TextContent', value: 'a.csv', annotations: [annotation] },
    ]);
  });

  test('is what its end says, and nothing after it', () => {
    const whole = message('msg_1', 'Whole.', { status: 'COMPLETED', completedAt: AT });
    const state = after(created(message('msg_1')), delta('msg_1', text(0, 'Half')), finished(whole));
    expect(state.messages).toEqual([whole]);
    expect(fold(fold(state, delta('msg_1', text(0, 'Half'))), created(message('msg_1'))).messages).toEqual([whole]);
    expect(after(finished(whole)).messages).toEqual([whole]);
  });

  test('that was done again is dropped, and nothing that comes late brings it back', () => {
    const superseded = finished(
      message('msg_1', 'Ha', { status: 'INCOMPLETE', incompleteDetails: { reason: 'SUPERSEDED' } }),
    );
    const story = [created(message('msg_1')), delta('msg_1', text(0, 'Ha')), superseded];
    const state = after(...story, created(message('msg_2')));
    expect(state.messages.map(({ id }) => id)).toEqual(['msg_2']);
    expect(story.reduce(fold, state).messages.map(({ id }) => id)).toEqual(['msg_2']);
  });

  test('that was deleted is gone, and nothing that comes late brings it back', () => {
    const deleted: ConversationEvent = { __typename: 'MessageDeleted', ...next(), messageId: 'msg_1' };
    const state = after(created(message('msg_1')), created(message('msg_2')), deleted, created(message('msg_1')));
    expect(state.messages.map(({ id }) => id)).toEqual(['msg_2']);
  });
});

describe('a run', () => {
  test('keeps its steps through its statuses, and has no way back from a final one', () => {
    const state = after(
      status(run('run_1')),
      stepCreated(step('step_1')),
      status(run('run_1', { status: 'COMPLETED' })),
      status(run('run_1')),
    );
    expect(state.runs).toEqual([{ ...run('run_1', { status: 'COMPLETED' }), steps: [step('step_1')] }]);
  });

  test('collects its tool calls by their places', () => {
    const call = (index: number, offset: number, part: string, name: string | null = null): CallDelta => ({
      __typename: 'FunctionToolCallDelta',
      index,
      id: `call_${index}`,
      name,
      offset,
      arguments: part,
    });
    const events = [
      stepDelta('step_1', call(0, 0, '{', 'one'), call(1, 0, '[', 'two')),
      stepDelta('step_1', call(0, 1, '}'), call(1, 1, ']')),
    ];
    const state = [...events, ...events].reduce(fold, after(status(run('run_1')), stepCreated(step('step_1'))));
    const common = { __typename: 'FunctionToolCall', status: 'IN_PROGRESS', output: null };
    expect(state.runs[0]!.steps[0]!.details).toEqual({
      __typename: 'ToolCallsDetails',
      toolCalls: [
        { ...common, id: 'call_0', name: 'one', arguments: '{}' },
        { ...common, id: 'call_1', name: 'two', arguments: '[]' },
      ],
    });
  });

  test('collects code, what it prints and the images it makes', () => {
    const code = (offset: number, more: { input?: string; logs?: string; imageFileId?: string }): CallDelta => ({
      __typename: 'CodeInterpreterToolCallDelta',
      index: 0,
      id: 'call_0',
      offset,
      input: null,
      logs: null,
      imageFileId: null,
      ended: null,
      ...more,
    });
    const state = after(
      status(run('run_1')),
      stepCreated(step('step_1')),
      stepDelta('step_1', code(0, { input: 'print' })),
      stepDelta('step_1', code(5, { input: '(1)' })),
      stepDelta('step_1', code(0, { logs: '1' })),
      stepDelta('step_1', code(1, { logs: '\n' })),
      stepDelta('step_1', code(0, { imageFileId: 'file_1' })),
      stepDelta('step_1', code(0, { logs: '2' })),
      stepDelta('step_1', { __typename: 'FileSearchToolCallDelta', index: 1, id: 'call_1', ended: null }),
    );
    expect(state.runs[0]!.steps[0]!.details).toMatchObject({
      toolCalls: [
        {
          input: 'print(1)',
          outputs: [
            { __typename: 'CodeInterpreterLogs', logs: '1\n' },
            { __typename: 'CodeInterpreterImage', fileId: 'file_1' },
            { __typename: 'CodeInterpreterLogs', logs: '2' },
          ],
        },
        { __typename: 'FileSearchToolCall', queries: [], results: [] },
      ],
    });
  });

  test('takes a hosted call as it ended in place of all that was known of it', () => {
    const ended = {
      __typename: 'FileSearchToolCall' as const,
      id: 'call_0',
      status: 'COMPLETED' as const,
      queries: ['cats'],
      results: [],
    };
    const search = (end: typeof ended | null): CallDelta => ({
      __typename: 'FileSearchToolCallDelta',
      index: 0,
      id: 'call_0',
      ended: end,
    });
    const events = [stepDelta('step_1', search(null)), stepDelta('step_1', search(ended))];
    const state = [...events, ...events].reduce(fold, after(status(run('run_1')), stepCreated(step('step_1'))));
    expect(state.runs[0]!.steps[0]!.details).toMatchObject({ toolCalls: [ended] });
  });
});

describe('a snapshot', () => {
  const known = () =>
    after(
      created(message('msg_0', 'Hi', { runId: null })),
      status(run('run_1')),
      created(message('msg_1')),
      created(message('msg_2')),
      status(run('run_2')),
      created(message('msg_3', '', { runId: 'run_2' })),
    );

  test('of a run replaces everything of that run and nothing else, in its place', () => {
    const snapshot: ConversationEvent = {
      __typename: 'RunSnapshot',
      ...next(),
      run: {
        ...run('run_1', { status: 'COMPLETED' }),
        steps: { nodes: [step('step_9')] },
        messages: { nodes: [message('msg_9', 'New')] },
      },
    };
    const state = fold(known(), snapshot);
    expect(state.messages.map(({ id }) => id)).toEqual(['msg_0', 'msg_9', 'msg_3']);
    expect(state.runs).toEqual([
      { ...run('run_1', { status: 'COMPLETED' }), steps: [step('step_9')] },
      { ...run('run_2'), steps: [] },
    ]);
    expect(state.cursor).toBe(snapshot.cursor);
  });

  test('of a thread replaces everything', () => {
    const snapshot: ConversationEvent = {
      __typename: 'ThreadSnapshot',
      ...next(),
      thread: {
        id: 'thread_1',
        title: null,
        messages: { pageInfo: { hasPreviousPage: true, startCursor: 'm.9' }, nodes: [message('msg_9', 'New')] },
        runs: { nodes: [{ ...run('run_9'), steps: { nodes: [] } }] },
      },
    };
    const state = fold(known(), snapshot);
    expect(state.messages).toEqual([message('msg_9', 'New')]);
    expect(state.older).toBe('m.9');
    expect(state.runs).toEqual([{ ...run('run_9'), steps: [] }]);
  });
});

test('what an event does not touch stays the same object', () => {
  const before = after(
    status(run('run_1')),
    stepCreated(step('step_1')),
    created(message('msg_1')),
    created(message('msg_2')),
  );
  const frozen = structuredClone(before);
  const state = fold(before, delta('msg_2', text(0, 'Hi')));
  expect(state.messages[0]).toBe(before.messages[0]);
  expect(state.runs).toBe(before.runs);
  expect(before).toEqual(frozen);
});

test('an event of a kind that is not known yet only moves the cursor', () => {
  const before = after(created(message('msg_1', 'Hi')));
  const state = fold(before, { __typename: 'SomethingNew', cursor: 't.99', at: AT } as never);
  expect(state).toEqual({ ...before, cursor: 't.99' });
});

test('the end of a thread is marked, and what was said can still be read', () => {
  const state = fold(after(created(message('msg_1', 'Hi'))), {
    __typename: 'ThreadDeleted',
    ...next(),
    threadId: 'thread_1',
  });
  expect(state).toMatchObject({ deleted: true, messages: [{ text: 'Hi' }] });
});

test('a query that found nothing is no conversation', () => {
  expect(conversationOf({ run: null })).toBeNull();
  expect(conversationOf({ thread: null })).toBeNull();
});
