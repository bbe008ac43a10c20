import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CreateThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, refuses, says, type Stage, WEATHER } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown) => ({ role: 'assistant', content });

describe('what a model call holds', () => {
  test('begins with the instructions, the additional ones behind them', async () => {
    const assistantId = await stage.createAssistant({ instructions: 'Be brief.' });
    await stage.perform({ assistantId, additionalInstructions: 'Rhyme.' });
    await stage.perform({ assistantId, instructions: 'Be long.' });
    expect(bodies(stage.model).map(({ messages }) => messages)).toEqual([
      [{ role: 'system', content: 'Be brief.\n\nRhyme.' }, user('Hello')],
      [{ role: 'system', content: 'Be long.' }, user('Hello')],
    ]);
  });

  test('is no more than the model and the messages when nothing else is set', async () => {
    await stage.perform();
    expect(bodies(stage.model)).toEqual([
      { model: 'test-model', messages: [user('Hello')], stream: true, stream_options: { include_usage: true } },
    ]);
  });

  test('has the whole conversation in its order, whoever spoke', async () => {
    const { createThread } = await stage.app.query(CreateThreadDocument, {
      input: {
        messages: [
          { content: [{ text: 'One' }] },
          { role: 'ASSISTANT', content: [{ text: 'Two' }] },
          { content: [{ text: 'Three' }, { text: 'and a half' }] },
        ],
      },
    });
    const threadId = createThread.thread!.id;
    stage.scenes.push(says(['Fo', 'ur']));
    await stage.perform({ threadId });
    await stage.say(threadId, 'Five');
    await stage.perform({ threadId, additionalMessages: [{ content: [{ text: 'Six' }] }] });
    const parts = [
      { type: 'text', text: 'Three' },
      { type: 'text', text: 'and a half' },
    ];
    expect(bodies(stage.model)[1]!.messages).toEqual([
      user('One'),
      assistant('Two'),
      user(parts),
      assistant('Four'),
      user('Five'),
      user('Six'),
    ]);
  });

  test('has images by their URL, with their detail', async () => {
    const url = 'https://example.com/cat.png';
    await stage.perform({
      thread: {
        messages: [
          {
            content: [
              { text: 'What is it?' },
              { imageUrl: { url } },
              { imageUrl: { url, detail: 'LOW' } },
              { imageUrl: { url, detail: 'HIGH' } },
            ],
          },
        ],
      },
    });
    expect(bodies(stage.model)[0]!.messages).toEqual([
      user([
        { type: 'text', text: 'What is it?' },
        { type: 'image_url', image_url: { url } },
        { type: 'image_url', image_url: { url, detail: 'low' } },
        { type: 'image_url', image_url: { url, detail: 'high' } },
      ]),
    ]);
  });

  test("replays a run's own calls and outputs by the server's own ids, and leaves those of earlier runs out", async () => {
    const threadId = await stage.createThread('Weather?');
    stage.scenes.push(
      calls(
        [
          { id: 'x_rome', arguments: '{"city":"Rome"}' },
          { id: 'x_oslo', arguments: '{"city":"Oslo"}' },
        ],
        { text: 'I shall look.' },
      ),
      says('Sun and snow'),
    );
    const { runId } = await stage.start({ threadId, tools: [WEATHER] });
    const { requiredAction } = await stage.rest(runId);
    const [rome, oslo] = requiredAction!.toolCalls;
    await stage.submit(runId, { [oslo!.id]: 'snow', [rome!.id]: '' });
    await stage.follow(runId);
    expect(bodies(stage.model)[1]!.messages).toEqual([
      user('Weather?'),
      {
        role: 'assistant',
        content: 'I shall look.',
        tool_calls: [
          { id: 'x_rome', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
          { id: 'x_oslo', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'x_rome', content: '' },
      { role: 'tool', tool_call_id: 'x_oslo', content: 'snow' },
    ]);
    await stage.say(threadId, 'Thanks');
    await stage.perform({ threadId, tools: [WEATHER] });
    expect(bodies(stage.model)[2]!.messages).toEqual([
      user('Weather?'),
      assistant('I shall look.'),
      assistant('Sun and snow'),
      user('Thanks'),
    ]);
  });

  test('tells calls apart by our ids where the server gave several the same', async () => {
    stage.scenes.push(
      calls([
        { id: 'call', arguments: '{}' },
        { id: 'call', arguments: '{}' },
      ]),
    );
    const { runId } = await stage.start({ tools: [WEATHER] });
    const { requiredAction } = await stage.rest(runId);
    const ids = requiredAction!.toolCalls.map(({ id }) => id);
    await stage.submit(runId, Object.fromEntries(ids.map((id, i) => [id, `output ${i}`])));
    await stage.follow(runId);
    expect(bodies(stage.model)[1]!.messages.slice(2)).toEqual(
      ids.map((id, i) => ({ role: 'tool', tool_call_id: id, content: `output ${i}` })),
    );
  });

  test('has the sampling settings of the assistant, or those of the run in their place', async () => {
    const assistantId = await stage.createAssistant({ temperature: 0.2, topP: 0.3, reasoningEffort: 'LOW' });
    await stage.perform({ assistantId });
    await stage.perform({
      assistantId,
      temperature: 0,
      topP: 1,
      reasoningEffort: 'XHIGH',
      model: 'another',
      maxCompletionTokens: 300,
    });
    expect(bodies(stage.model)).toMatchObject([
      { model: 'test-model', temperature: 0.2, top_p: 0.3, reasoning_effort: 'low' },
      { model: 'another', temperature: 0, top_p: 1, reasoning_effort: 'xhigh', max_completion_tokens: 300 },
    ]);
    expect(bodies(stage.model)[0]).not.toHaveProperty('max_completion_tokens');
  });

  test('asks for JSON in the form that the run wants', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    };
    const assistantId = await stage.createAssistant({ responseFormat: { type: 'JSON_OBJECT' } });
    await stage.perform({ assistantId });
    await stage.perform({
      assistantId,
      responseFormat: { jsonSchema: { name: 'thing', description: 'A thing', schema, strict: true } },
    });
    await stage.perform({ assistantId, responseFormat: { type: 'TEXT' } });
    expect(bodies(stage.model).map(({ response_format: format }) => format)).toEqual([
      { type: 'json_object' },
      { type: 'json_schema', json_schema: { name: 'thing', description: 'A thing', schema, strict: true } },
      undefined,
    ]);
  });
});

describe('the choice of tools', () => {
  const other = { function: { name: 'clock' } };

  test.each([
    [{ functionName: 'clock' }, { type: 'function', function: { name: 'clock' } }, undefined],
    [{ mode: 'REQUIRED' as const }, 'required', undefined],
    [{ mode: 'AUTO' as const }, undefined, undefined],
    [{ mode: 'NONE' as const }, 'none', 'none'],
  ])('%j holds for the first call; later ones choose freely', async (toolChoice, first, later) => {
    stage.scenes.push(calls([{ name: 'clock', arguments: '{}' }]), says('It is late.'));
    const { runId } = await stage.start({ tools: [WEATHER, other], toolChoice });
    const { requiredAction } = await stage.rest(runId);
    await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: '23:59' });
    await stage.follow(runId);
    expect(bodies(stage.model).map((body) => body.tool_choice)).toEqual([first, later]);
    expect(bodies(stage.model)[0]!.tools).toEqual([
      { type: 'function', function: WEATHER.function },
      { type: 'function', function: { name: 'clock', parameters: { type: 'object', properties: {} } } },
    ]);
  });

  test('may forbid several calls at once', async () => {
    await stage.perform({ tools: [WEATHER], parallelToolCalls: false });
    await stage.perform({ tools: [WEATHER] });
    expect(bodies(stage.model).map((body) => body.parallel_tool_calls)).toEqual([false, true]);
  });
});

describe('a thread that is too long', () => {
  // 100 tokens of text, and a few around it.
  const long = (name: string) => `${name} ${'word '.repeat(100)}`;
  const names = (index: number): string[] =>
    bodies(stage.model)[index]!.messages.map(({ content }: { content: string }) => content.split(' ')[0]);

  test('loses its middle, and the step says how much', async () => {
    const threadId = await stage.createThread(...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(long));
    const run = await stage.perform({ threadId, maxPromptTokens: 450 });
    expect(names(0)).toEqual(['a', 'f', 'g', 'h']);
    expect(run.steps.nodes).toMatchObject([{ droppedMessages: 4 }]);
  });

  test('enters with its newest messages alone under LAST_MESSAGES, even when it would fit', async () => {
    const threadId = await stage.createThread('a', 'b', 'c', 'd');
    const run = await stage.perform({ threadId, truncationStrategy: { type: 'LAST_MESSAGES', lastMessages: 2 } });
    expect(names(0)).toEqual(['c', 'd']);
    expect(run.steps.nodes).toMatchObject([{ droppedMessages: 2 }]);
  });

  test('is dropped from before what cannot be cut: instructions, the newest message, the run’s own calls', async () => {
    const threadId = await stage.createThread(...['a', 'b', 'c'].map(long));
    stage.scenes.push(calls([{ arguments: '{}' }], { usage: [300, 20] }), says('Ok'));
    const { runId } = await stage.start({
      threadId,
      instructions: 'Mind the gap.',
      tools: [WEATHER],
      maxPromptTokens: 700,
    });
    const { requiredAction } = await stage.rest(runId);
    await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'sun '.repeat(150) });
    await stage.follow(runId);
    const roles = bodies(stage.model).map(({ messages }) =>
      messages.map(({ role }: { role: string }) => role).join(' '),
    );
    expect(roles).toEqual(['system user user user', 'system user assistant tool']);
    expect(bodies(stage.model)[1]!.messages[1].content).toBe(long('c'));
    expect((await stage.details(runId)).steps.nodes.map(({ droppedMessages }) => droppedMessages)).toEqual([0, 2]);
  });

  test('that cannot be cut to fit leaves the run incomplete without a model call', async () => {
    const run = await stage.perform({
      thread: { messages: [{ content: [{ text: 'word '.repeat(500) }] }] },
      maxPromptTokens: 256,
    });
    expect(run).toMatchObject({
      status: 'INCOMPLETE',
      incompleteDetails: { reason: 'MAX_PROMPT_TOKENS' },
      lastError: null,
    });
    expect(stage.model.requests).toEqual([]);
  });

  test('is cut once more when the server finds it too long, and only once', async () => {
    const tooLong = refuses(400, { message: 'too long', code: 'context_length_exceeded' });
    stage.scenes.push(tooLong);
    const threadId = await stage.createThread(...['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map(long));
    const run = await stage.perform({ threadId });
    expect(run.status).toBe('COMPLETED');
    expect(names(0)).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(names(1)).toEqual(['a', 'g', 'h']);
    expect(run.steps.nodes).toMatchObject([{ droppedMessages: 5 }]);
    stage.scenes.push(tooLong, tooLong);
    await stage.say(threadId, 'And now?');
    expect(await stage.perform({ threadId })).toMatchObject({
      status: 'FAILED',
      lastError: { code: 'INVALID_PROMPT' },
    });
    expect(stage.model.requests).toHaveLength(4);
  });

  test('fails with the words of a server that finds a single message too long', async () => {
    stage.scenes.push(refuses(400, { message: 'at most 7 tokens', code: 'context_length_exceeded' }));
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'INVALID_PROMPT' } });
    expect(run.lastError!.message).toContain('at most 7 tokens');
  });
});
