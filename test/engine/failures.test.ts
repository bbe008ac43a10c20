import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { delta, finish, streamTo } from '../llm/model-server.ts';
import { bodies, callChunks, calls, openStage, refuses, says, type Stage, WEATHER } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ RUN_MAX_TURNS: '3' });
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

const textOf = (run: { messages: { nodes: { text: string }[] } }): string[] =>
  run.messages.nodes.map(({ text }) => text);

describe('a model server that refuses', () => {
  test('is asked again when its Retry-After is over, and nothing of it is seen', async () => {
    const times: number[] = [];
    stage.scenes.push(
      (exchange) => {
        times.push(performance.now());
        refuses(429, { message: 'slow down', code: 'rate_limit_exceeded' }, { 'retry-after': '1' })(exchange);
      },
      (exchange) => {
        times.push(performance.now());
        says('Here I am')(exchange);
      },
    );
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1, lastError: null });
    expect(textOf(run)).toEqual(['Here I am']);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
  });

  test('with 429 for ever ends the run as RATE_LIMIT_EXCEEDED', async () => {
    const limited = refuses(429, { message: 'slow down' }, { 'retry-after-ms': '20' });
    stage.scenes.push(limited, limited, limited, limited, limited);
    const run = await stage.perform();
    expect(run).toMatchObject({
      status: 'FAILED',
      lastError: { code: 'RATE_LIMIT_EXCEEDED' },
      usage: { totalTokens: 0 },
    });
    expect(run.lastError!.message).toContain('slow down');
    expect(run.failedAt).not.toBeNull();
    expect(run.completedAt).toBeNull();
    expect(run.expiresAt).toBeNull();
    expect(run.steps.nodes).toEqual([]);
    expect(stage.model.requests).toHaveLength(4);
  });

  test('that wants to be left alone for longer than a minute fails the run at once', async () => {
    stage.scenes.push(refuses(429, { message: 'come back tomorrow' }, { 'retry-after': '3600' }));
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'RATE_LIMIT_EXCEEDED' } });
    expect(stage.model.requests).toHaveLength(1);
  });

  test.each([
    [400, { message: 'bad messages' }, 'INVALID_PROMPT'],
    [400, { message: 'cannot load', code: 'invalid_image_url' }, 'INVALID_IMAGE_URL'],
    [401, { message: 'wrong key' }, 'SERVER_ERROR'],
    [404, { message: 'no such model' }, 'MODEL_NOT_FOUND'],
    [402, { message: 'pay', code: 'insufficient_quota' }, 'RATE_LIMIT_EXCEEDED'],
  ])('with %i %j is not asked again: %s', async (status, error, code) => {
    stage.scenes.push(refuses(status, error));
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code } });
    expect(run.lastError!.message).toContain(error.message);
    expect(stage.model.requests).toHaveLength(1);
  });

  test('with 500 three times is asked a fourth time', async () => {
    const broken = refuses(500, { message: 'oops' }, { 'retry-after-ms': '10' });
    stage.scenes.push(broken, broken, broken, says('At last'));
    const run = await stage.perform();
    expect(run.status).toBe('COMPLETED');
    expect(textOf(run)).toEqual(['At last']);
    expect(stage.model.requests).toHaveLength(4);
  });
});

describe('an answer that breaks off', () => {
  test('without a finish_reason fails the run and keeps what was said', async () => {
    stage.scenes.push(({ response }) => {
      const stream = streamTo(response);
      stream.send(delta({ content: 'Half a ' }), delta({ content: 'word' }));
      stream.end();
    });
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'SERVER_ERROR' } });
    expect(run.messages.nodes).toMatchObject([
      { text: 'Half a word', status: 'INCOMPLETE', incompleteDetails: { reason: 'RUN_FAILED' } },
    ]);
    expect(run.steps.nodes).toMatchObject([
      { type: 'MESSAGE_CREATION', status: 'FAILED', lastError: { code: 'SERVER_ERROR' } },
    ]);
    expect(stage.model.requests).toHaveLength(1); // said once already: asking again would say it twice
    expect(run.usage!.totalTokens).toBeGreaterThan(0);
  });

  test('because the connection is lost in the middle of a message fails the run and keeps what was said', async () => {
    stage.scenes.push(({ response }) => {
      streamTo(response).send(delta({ content: 'Gone in' }));
      setImmediate(() => response.destroy());
    });
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'SERVER_ERROR' } });
    expect(textOf(run)).toEqual(['Gone in']);
  });

  test('because the connection is lost before the first word is asked for again', async () => {
    stage.scenes.push(({ response }) => void response.destroy(), says('Second try'));
    expect(textOf(await stage.perform())).toEqual(['Second try']);
  });

  test('in the middle of tool calls fails the run, and the calls with it', async () => {
    stage.scenes.push(({ response }) => {
      const stream = streamTo(response);
      stream.send(...callChunks([{ arguments: '{"city": "Ro' }]));
      stream.end();
    });
    const run = await stage.perform({ tools: [WEATHER] });
    expect(run).toMatchObject({ status: 'FAILED', requiredAction: null });
    expect(run.steps.nodes).toMatchObject([
      {
        type: 'TOOL_CALLS',
        status: 'FAILED',
        details: { toolCalls: [{ status: 'FAILED', name: 'weather', arguments: '{"city": "Ro' }] },
      },
    ]);
  });

  test('at its length leaves an incomplete run with an incomplete message and a completed step', async () => {
    stage.scenes.push(says('As far as it', { reason: 'length' }));
    const run = await stage.perform();
    expect(run).toMatchObject({
      status: 'INCOMPLETE',
      incompleteDetails: { reason: 'MAX_COMPLETION_TOKENS' },
      lastError: null,
      usage: { totalTokens: 5 },
    });
    expect(run.messages.nodes).toMatchObject([{ text: 'As far as it', incompleteDetails: { reason: 'MAX_TOKENS' } }]);
    expect(run.steps.nodes).toMatchObject([{ status: 'COMPLETED', usage: { totalTokens: 5 } }]);
  });

  test('by a content filter fails the run and says so at the message', async () => {
    stage.scenes.push(says('Once upon', { reason: 'content_filter' }));
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'INVALID_PROMPT' } });
    expect(run.messages.nodes).toMatchObject([
      { text: 'Once upon', status: 'INCOMPLETE', incompleteDetails: { reason: 'CONTENT_FILTER' } },
    ]);
  });
});

describe('odd answers', () => {
  test('an empty answer is an empty message of a completed run', async () => {
    stage.scenes.push(says([], { usage: [7, 0] }));
    const run = await stage.perform();
    expect(run).toMatchObject({ status: 'COMPLETED', usage: { promptTokens: 7, completionTokens: 0 } });
    expect(run.messages.nodes).toMatchObject([{ text: '', content: [], status: 'COMPLETED' }]);
    expect(run.steps.nodes).toMatchObject([
      { type: 'MESSAGE_CREATION', status: 'COMPLETED', usage: { totalTokens: 7 } },
    ]);
  });

  test('arguments that are not JSON are passed on as they came', async () => {
    stage.scenes.push(calls([{ arguments: '{"city": Rome,, ' }]));
    const { runId } = await stage.start({ tools: [WEATHER] });
    const run = await stage.rest(runId);
    expect(run.requiredAction!.toolCalls).toMatchObject([{ name: 'weather', arguments: '{"city": Rome,, ' }]);
    await stage.cancel(runId);
  });

  test('text behind tool calls becomes a second message of the same turn', async () => {
    stage.scenes.push(({ response }) => {
      const stream = streamTo(response);
      stream.send(
        delta({ content: 'Let me see.' }),
        ...callChunks([{ arguments: '{}' }]),
        delta({ content: 'One moment.' }),
        finish('tool_calls'),
      );
      stream.end();
    }, says('Sunny'));
    const { runId } = await stage.start({ tools: [WEATHER] });
    const waiting = await stage.rest(runId);
    expect(textOf(waiting)).toEqual(['Let me see.', 'One moment.']);
    expect(waiting.messages.nodes.map(({ status }) => status)).toEqual(['COMPLETED', 'COMPLETED']);
    expect(waiting.steps.nodes.map(({ type, status }) => [type, status])).toEqual([
      ['MESSAGE_CREATION', 'COMPLETED'],
      ['TOOL_CALLS', 'IN_PROGRESS'],
      ['MESSAGE_CREATION', 'COMPLETED'],
    ]);
    await stage.submit(runId, { [waiting.requiredAction!.toolCalls[0]!.id]: 'sun' });
    await stage.follow(runId);
    const prompt = bodies(stage.model)[1]!.messages;
    expect(prompt.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'tool']);
    expect(textOf(await stage.details(runId))).toEqual(['Let me see.', 'One moment.', 'Sunny']);
  });

  test('a run that never comes to an end is stopped after RUN_MAX_TURNS model calls', async () => {
    for (let turn = 0; turn < 4; turn++) stage.scenes.push(calls([{ arguments: '{}' }]));
    const { runId } = await stage.start({ tools: [WEATHER] });
    for (let turn = 1; turn <= 3; turn++) {
      const run = await stage.rest(runId);
      expect(run.status).toBe('REQUIRES_ACTION');
      await stage.submit(runId, { [run.requiredAction!.toolCalls[0]!.id]: `output ${turn}` });
    }
    const run = await stage.rest(runId);
    expect(run).toMatchObject({ status: 'FAILED', lastError: { code: 'SERVER_ERROR' }, usage: { totalTokens: 15 } });
    expect(run.lastError!.message).toContain('3 model calls');
    expect(stage.model.requests).toHaveLength(3);
  });
});
