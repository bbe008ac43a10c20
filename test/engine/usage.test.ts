import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ConversationDocument } from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, says, type Stage, WEATHER } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

const tokens = (promptTokens: number, completionTokens: number) => ({
  promptTokens,
  completionTokens,
  totalTokens: promptTokens + completionTokens,
});

async function answerCalls(runId: string): Promise<void> {
  const { requiredAction } = await stage.rest(runId);
  await stage.submit(runId, Object.fromEntries(requiredAction!.toolCalls.map(({ id }) => [id, 'sun'])));
}

async function threadUsage(threadId: string) {
  return (await stage.app.query(ConversationDocument, { threadId })).thread!.usage;
}

describe('what a run took', () => {
  test('is the sum of its steps, and what a thread took the sum of its final runs', async () => {
    const threadId = await stage.createThread('Weather?');
    expect(await threadUsage(threadId)).toMatchObject(tokens(0, 0));
    stage.scenes.push(
      calls([{ arguments: '{}' }], { text: 'I look.', usage: [10, 5] }),
      calls([{ arguments: '{}' }], { usage: [20, 6] }),
      says('Sun', { usage: [30, 7] }),
      says('Sun again', { usage: [40, 8] }),
    );
    const { runId } = await stage.start({ threadId, tools: [WEATHER] });
    await answerCalls(runId);
    expect((await stage.details(runId)).usage).toBeNull();
    expect(await threadUsage(threadId)).toMatchObject(tokens(0, 0));
    await answerCalls(runId);
    await stage.follow(runId);
    const run = await stage.details(runId);
    expect(run.usage).toMatchObject(tokens(60, 18));
    expect(run.steps.nodes.map(({ type, usage }) => [type, usage?.totalTokens ?? null])).toEqual([
      ['MESSAGE_CREATION', null],
      ['TOOL_CALLS', 15],
      ['TOOL_CALLS', 26],
      ['MESSAGE_CREATION', 37],
    ]);
    await stage.perform({ threadId });
    expect(await threadUsage(threadId)).toMatchObject(tokens(100, 26));
  });

  test('tells cached and reasoning tokens where the server does', async () => {
    stage.scenes.push(({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const usage = {
        prompt_tokens: 9,
        completion_tokens: 4,
        total_tokens: 13,
        prompt_tokens_details: { cached_tokens: 8 },
        completion_tokens_details: { reasoning_tokens: 2 },
      };
      const chunk = { choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: 'stop' }] };
      response.end(
        `data: ${JSON.stringify(chunk)}\n\ndata: ${JSON.stringify({ choices: [], usage })}\n\ndata: [DONE]\n\n`,
      );
    });
    expect((await stage.perform()).usage).toEqual({
      promptTokens: 9,
      completionTokens: 4,
      totalTokens: 13,
      cachedTokens: 8,
      reasoningTokens: 2,
    });
  });

  test('is estimated when the server counts nothing', async () => {
    stage.scenes.push(says('one two three four five', { usage: null }));
    const { usage, steps } = await stage.perform();
    expect(usage!.completionTokens).toBe(5);
    expect(usage!.promptTokens).toBeGreaterThan(2);
    expect(usage!.totalTokens).toBe(usage!.promptTokens + 5);
    expect(steps.nodes[0]!.usage).toEqual(usage);
  });
});

describe('a run with a budget', () => {
  test('passes on what is left of its completion tokens to each turn, and ends incomplete when nothing is', async () => {
    stage.scenes.push(
      calls([{ arguments: '{}' }], { usage: [10, 300] }),
      calls([{ arguments: '{}' }], { usage: [10, 700] }),
    );
    const { runId } = await stage.start({ tools: [WEATHER], maxCompletionTokens: 1000 });
    await answerCalls(runId);
    await answerCalls(runId);
    const run = await stage.rest(runId);
    expect(bodies(stage.model).map((body) => body.max_completion_tokens)).toEqual([1000, 700]);
    expect(run).toMatchObject({
      status: 'INCOMPLETE',
      incompleteDetails: { reason: 'MAX_COMPLETION_TOKENS' },
      usage: tokens(20, 1000),
    });
  });

  test('ends incomplete when its prompt tokens are used up', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }], { usage: [250, 3] }));
    const { runId } = await stage.start({ tools: [WEATHER], maxPromptTokens: 256 });
    await answerCalls(runId);
    const run = await stage.rest(runId);
    expect(run).toMatchObject({
      status: 'INCOMPLETE',
      incompleteDetails: { reason: 'MAX_PROMPT_TOKENS' },
      usage: tokens(250, 3),
    });
    expect(stage.model.requests).toHaveLength(1);
  });
});
