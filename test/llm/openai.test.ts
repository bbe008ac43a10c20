import { LLMock } from '@copilotkit/aimock';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Llm } from '../../src/llm/llm.ts';
import { createOpenAi } from '../../src/llm/openai.ts';
import { collect, describeLlm, requestOf, WEATHER } from './llm-contract.ts';
import { answerOk, type ModelServer, openModelServer } from './model-server.ts';

const logger = pino({ level: 'silent' });
const words = (count: number): string => Array.from({ length: count }, (_, at) => `word${at}`).join(' ');

describeLlm('openai', async () => {
  const mock = new LLMock({ chunkSize: 5 });
  mock.on({ hasToolResult: true, toolResultContains: 'sunny' }, { content: 'It says: 21 degrees and sunny' });
  mock.onMessage(/^say /, ({ messages }) => ({ content: String(messages.at(-1)?.content).slice(4) }));
  mock.onMessage(/^Ada is 36/, { content: '{"age": 36}' });
  mock.onMessage(
    /^write 500/,
    ({ max_completion_tokens: limit }) =>
      limit ? { content: words(5), finishReason: 'length' } : { content: words(500) },
    { streamingProfile: { tps: 200 } },
  );
  const call = (name: string, city: string) => ({ name, arguments: JSON.stringify({ city }) });
  mock.onMessage('get_time in Tokyo', { toolCalls: [call('get_weather', 'Paris'), call('get_time', 'Tokyo')] });
  mock.onMessage('get_weather in Paris', { toolCalls: [call('get_weather', 'Paris')] });
  await mock.start();
  const llm = createOpenAi({ apiKey: 'sk-test', baseUrl: `${mock.url}/v1`, timeoutMs: 5000, logger });
  return {
    llm,
    async close() {
      await llm.close();
      await mock.stop();
    },
  };
});

describe('what the openai driver sends', () => {
  let server: ModelServer;
  let llm: Llm;
  beforeAll(async () => {
    server = await openModelServer(answerOk);
    llm = createOpenAi({ apiKey: 'sk-secret', baseUrl: server.url, timeoutMs: 5000, logger });
  });
  afterAll(async () => {
    await llm.close();
    await server.close();
  });
  const sent = async (...request: Parameters<typeof requestOf>) => {
    await collect(llm, requestOf(...request));
    return server.requests.at(-1);
  };

  test('a plain request holds nothing but model, messages and the wish for a stream with usage', async () => {
    const request = await sent('hello');
    expect(request).toMatchObject({ method: 'POST', path: '/v1/chat/completions' });
    expect(request?.headers).toMatchObject({ authorization: 'Bearer sk-secret', accept: 'text/event-stream' });
    expect(request?.body).toEqual({
      model: 'test-model',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('tools are functions, with an empty object for missing parameters', async () => {
    const bare = { name: 'now', description: null, parameters: null, strict: true };
    const tools = [WEATHER, bare];
    const request = await sent('hello', { tools, toolChoice: { name: 'now' }, parallelToolCalls: false });
    expect(request?.body).toMatchObject({
      tools: [
        { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters: WEATHER.parameters } },
        { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} }, strict: true } },
      ],
      tool_choice: { type: 'function', function: { name: 'now' } },
      parallel_tool_calls: false,
    });
  });

  test('tool_choice and parallel_tool_calls need tools', async () => {
    const request = await sent('hello', { toolChoice: 'required', parallelToolCalls: false });
    expect(Object.keys(request?.body ?? {})).toEqual(['model', 'messages', 'stream', 'stream_options']);
    const auto = await sent('hello', { tools: [WEATHER] });
    expect(auto?.body).toMatchObject({ parallel_tool_calls: true });
    expect(auto?.body).not.toHaveProperty('tool_choice');
    expect((await sent('hello', { tools: [WEATHER], toolChoice: 'required' }))?.body['tool_choice']).toBe('required');
  });

  test('settings go along when they are set, zero included', async () => {
    const set = { temperature: 0, topP: 0.5, reasoningEffort: 'low', maxCompletionTokens: 7 };
    const wire = { temperature: 0, top_p: 0.5, reasoning_effort: 'low', max_completion_tokens: 7 };
    expect((await sent('hello', set))?.body).toMatchObject(wire);
  });

  test('response formats', async () => {
    const json = await sent('hello', { responseFormat: { type: 'json_object' } });
    expect(json?.body['response_format']).toEqual({ type: 'json_object' });
    const schema = { type: 'object' };
    const format = { type: 'json_schema' as const, name: 'x', description: null, schema, strict: true };
    const typed = await sent('hello', { responseFormat: format });
    const wire = { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } };
    expect(typed?.body['response_format']).toEqual(wire);
    expect((await sent('hello', { responseFormat: { type: 'text' } }))?.body).not.toHaveProperty('response_format');
  });

  test('messages of every role', async () => {
    const request = await sent('', {
      messages: [
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'imageUrl', url: 'https://example.com/a.png', detail: 'low' },
            { type: 'imageUrl', url: 'data:image/png;base64,AA==', detail: 'auto' },
          ],
        },
        { role: 'assistant', content: [], toolCalls: [{ id: 'c1', name: 'now', arguments: '' }] },
        { role: 'tool', toolCallId: 'c1', content: 'noon' },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'A plot:' },
            { type: 'imageUrl', url: 'data:image/png;base64,AA==', detail: 'auto' },
          ],
          toolCalls: [],
        },
      ],
    });
    expect(request?.body['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'now', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'noon' },
      { role: 'assistant', content: 'A plot:\n[image]' },
    ]);
  });

  test('without a key no Authorization header goes out', async () => {
    const keyless = createOpenAi({ apiKey: null, baseUrl: server.url, timeoutMs: 5000, logger });
    await collect(keyless, requestOf('hello'));
    await keyless.models();
    await keyless.close();
    for (const { headers } of server.requests.slice(-2)) expect(headers).not.toHaveProperty('authorization');
  });

  test('the environment is not asked for anything', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-from-environment');
    vi.stubEnv('OPENAI_ORG_ID', 'org-from-environment');
    vi.stubEnv('OPENAI_BASE_URL', 'http://nowhere.invalid');
    const plain = createOpenAi({ apiKey: null, baseUrl: null, timeoutMs: 5000, logger });
    expect(plain.baseUrl).toBe('https://api.openai.com/v1');
    await plain.close();
    const keyless = createOpenAi({ apiKey: null, baseUrl: server.url, timeoutMs: 5000, logger });
    await collect(keyless, requestOf('hello'));
    await keyless.close();
    vi.unstubAllEnvs();
    expect(JSON.stringify(server.requests.at(-1)?.headers)).not.toContain('from-environment');
  });

  test('its models are listed with owner and date where the server says them', async () => {
    expect(await llm.models()).toEqual([
      { id: 'a', ownedBy: 'me', createdAt: new Date(1_700_000_000_000) },
      { id: 'b', ownedBy: null, createdAt: null },
    ]);
  });

  test('the base URL it shows holds no credentials, and a key that cannot be sent is refused at once', async () => {
    const baseUrl = 'http://me:hunter2@127.0.0.1:9/v1?k=1';
    const secret = createOpenAi({ apiKey: 'sk-secret', baseUrl, timeoutMs: 5000, logger });
    expect(secret.baseUrl).toBe('http://127.0.0.1:9/v1');
    await secret.close();
    const broken = { apiKey: 'sk-\nsecret', baseUrl: null, timeoutMs: 5000, logger };
    expect(() => createOpenAi(broken)).toThrow(/^OPENAI_API_KEY holds characters/);
  });
});
