import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Llm, LlmChunk, LlmFunction, LlmRequest } from '../../src/llm/llm.ts';

/**
 * What every driver of the port does. `open` gives a driver whose model answers by these rules: "say X" with X,
 * the name of a function with a call of it (`city` from "in X"), a tool's result by quoting it, a JSON schema with
 * fitting JSON, and "write N words" with at least N chunks, cut off by `maxCompletionTokens`.
 */
export function describeLlm(name: string, open: () => Promise<{ llm: Llm; close(): Promise<void> }>): void {
  describe(`the ${name} model`, () => {
    let llm: Llm;
    let close: () => Promise<void>;
    beforeAll(async () => ({ llm, close } = await open()));
    afterAll(() => close());

    test('streams an answer in chunks and ends with one finish chunk that carries the usage', async () => {
      const chunks = await collect(llm, requestOf('say a quick brown fox jumps over the lazy dog'));
      expect(textOf(chunks)).toMatch(/a quick brown fox jumps over the lazy dog$/);
      expect(chunks.filter((chunk) => chunk.type === 'text').length).toBeGreaterThan(3);
      expect(chunks.filter((chunk) => chunk.type === 'finish')).toHaveLength(1);
      const last = chunks.at(-1);
      expect(last).toMatchObject({ type: 'finish', reason: 'stop' });
      const usage = last?.type === 'finish' ? last.usage : null;
      expect(usage?.promptTokens).toBeGreaterThan(0);
      expect(usage?.completionTokens).toBeGreaterThan(0);
      expect(usage?.totalTokens).toBe((usage?.promptTokens ?? 0) + (usage?.completionTokens ?? 0));
    });

    test('calls the function that the user names', async () => {
      const chunks = await collect(llm, requestOf('call get_weather in Paris', { tools: [WEATHER, TIME] }));
      const call = { id: expect.stringMatching(/./), name: 'get_weather', arguments: { city: 'Paris' } };
      expect(callsOf(chunks)).toEqual([call]);
      expect(chunks.at(-1)).toMatchObject({ type: 'finish', reason: 'tool_calls' });
    });

    test('calls several functions in one turn, each with its own id and place', async () => {
      const asked = 'call get_weather in Paris and get_time in Tokyo';
      const calls = callsOf(await collect(llm, requestOf(asked, { tools: [WEATHER, TIME] })));
      expect(calls.map((call) => call.name)).toEqual(['get_weather', 'get_time']);
      expect(calls.map((call) => call.arguments)).toEqual([{ city: 'Paris' }, { city: 'Tokyo' }]);
      expect(new Set(calls.map((call) => call.id)).size).toBe(2);
    });

    test('gives id and name with the first part of a call and never again', async () => {
      const parts = (await collect(llm, requestOf('call get_weather in Paris', { tools: [WEATHER] }))).filter(
        (chunk) => chunk.type === 'toolCall',
      );
      expect(parts[0]).toMatchObject({ index: 0, id: expect.any(String), name: 'get_weather' });
      for (const part of parts.slice(1)) expect(part).toMatchObject({ index: 0, id: null, name: null });
    });

    test('answers from the results of its calls', async () => {
      const request = requestOf('call get_weather in Paris', { tools: [WEATHER] });
      const [call] = callsOf(await collect(llm, request));
      const made = { id: call?.id ?? '', name: 'get_weather', arguments: '{"city":"Paris"}' };
      request.messages.push(
        { role: 'assistant', content: [], toolCalls: [made] },
        { role: 'tool', toolCallId: made.id, content: '21 degrees and sunny' },
      );
      const chunks = await collect(llm, request);
      expect(textOf(chunks)).toContain('21 degrees and sunny');
      expect(chunks.at(-1)).toMatchObject({ reason: 'stop' });
    });

    test('answers with JSON that fits the schema it is given', async () => {
      const schema = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] };
      const responseFormat = { type: 'json_schema' as const, name: 'person', description: null, schema, strict: true };
      const chunks = await collect(llm, requestOf('Ada is 36', { responseFormat }));
      expect(JSON.parse(textOf(chunks))).toEqual({ age: 36 });
    });

    test('ends with `length` when the completion limit cuts the answer off', async () => {
      const chunks = await collect(llm, requestOf('write 500 words', { maxCompletionTokens: 5 }));
      expect(chunks.at(-1)).toMatchObject({ type: 'finish', reason: 'length' });
      expect(chunks.length).toBeLessThan(50);
    });

    test("throws the signal's own reason when it is aborted between chunks", async () => {
      const abort = new AbortController();
      const reason = new Error('the run was cancelled');
      let seen = 0;
      const reading = (async () => {
        for await (const chunk of llm.stream(requestOf('write 500 words'), abort.signal)) {
          if (chunk.type === 'text' && ++seen === 3) abort.abort(reason);
        }
      })();
      await expect(reading).rejects.toBe(reason);
      expect(seen).toBe(3);
    });

    test("throws the signal's reason while it waits for the next chunk", async () => {
      const abort = new AbortController();
      const reason = new Error('the worker is draining');
      const chunks = llm.stream(requestOf('write 500 words'), abort.signal)[Symbol.asyncIterator]();
      await chunks.next();
      const pending = (async () => {
        for (;;) await chunks.next();
      })();
      abort.abort(reason);
      await expect(pending).rejects.toBe(reason);
    });

    test('does not begin once the signal is aborted', async () => {
      const reason = new Error('too late');
      await expect(collect(llm, requestOf('say hello'), AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    test('keeps concurrent streams apart', async () => {
      const words = ['alpha beta gamma', 'one two three four', 'red green blue'];
      const answers = await Promise.all(words.map((word) => collect(llm, requestOf(`say ${word}`))));
      answers.forEach((answer, at) => expect(textOf(answer).endsWith(words[at]!)).toBe(true));
    });

    test('lets its reader leave early', async () => {
      for await (const chunk of llm.stream(requestOf('write 500 words'), new AbortController().signal)) {
        expect(chunk.type).toBe('text');
        break;
      }
    });

    test('lists its models', async () => {
      const models = await llm.models();
      expect(models.length).toBeGreaterThan(0);
      for (const model of models) expect(model.id).not.toBe('');
    });
  });
}

const CITY = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
export const WEATHER: LlmFunction = { name: 'get_weather', description: 'Weather', parameters: CITY, strict: false };
export const TIME: LlmFunction = { name: 'get_time', description: null, parameters: CITY, strict: false };

export function requestOf(asked: string, changes: Partial<LlmRequest> = {}): LlmRequest {
  return {
    model: 'test-model',
    messages: [{ role: 'user', content: [{ type: 'text', text: asked }] }],
    tools: [],
    toolChoice: 'auto',
    parallelToolCalls: true,
    responseFormat: { type: 'auto' },
    temperature: null,
    topP: null,
    reasoningEffort: null,
    maxCompletionTokens: null,
    ...changes,
  };
}

export async function collect(llm: Llm, request: LlmRequest, signal?: AbortSignal): Promise<LlmChunk[]> {
  const chunks: LlmChunk[] = [];
  for await (const chunk of llm.stream(request, signal ?? new AbortController().signal)) chunks.push(chunk);
  return chunks;
}

export function textOf(chunks: readonly LlmChunk[]): string {
  return chunks.map((chunk) => (chunk.type === 'text' ? chunk.value : '')).join('');
}

export function callsOf(chunks: readonly LlmChunk[]): { id: string; name: string; arguments: unknown }[] {
  const calls: { id: string; name: string; json: string }[] = [];
  for (const chunk of chunks) {
    if (chunk.type !== 'toolCall') continue;
    const call = (calls[chunk.index] ??= { id: chunk.id ?? '', name: chunk.name ?? '', json: '' });
    call.json += chunk.arguments;
  }
  return calls.map(({ id, name, json }) => ({ id, name, arguments: json === '' ? null : JSON.parse(json) }));
}
