import { describe, expect, test } from 'vitest';
import type { LlmFunction, LlmMessage, LlmRequest } from '../../src/llm/llm.ts';
import { createOffline } from '../../src/llm/offline.ts';
import { callsOf, collect, describeLlm, requestOf, textOf, TIME, WEATHER } from './llm-contract.ts';

describeLlm('offline', async () => {
  const llm = createOffline({ delayMs: 1 });
  return { llm, close: () => llm.close() };
});

const llm = createOffline({ delayMs: 0 });
const say = async (asked: string, changes?: Partial<LlmRequest>): Promise<string> =>
  textOf(await collect(llm, requestOf(asked, changes)));
const call = async (asked: string, tools: LlmFunction[], changes?: Partial<LlmRequest>) =>
  callsOf(await collect(llm, requestOf(asked, { tools, ...changes }))).map(({ name, arguments: args }) => [name, args]);
const withParameters = (name: string, properties: object, required: string[]): LlmFunction => ({
  name,
  description: null,
  parameters: { type: 'object', properties, required },
  strict: false,
});
const HONEST = /^I am Skein's offline model, not a language model\./;

describe('Python in a fenced block', () => {
  const interpreter = withParameters('code_interpreter', { code: { type: 'string' } }, ['code']);
  const asked = 'Run this:\n```python\nprint(1)\n1 + 1\n```\nplease';

  test('is run where there is a code interpreter', async () => {
    expect(await call(asked, [WEATHER, interpreter])).toEqual([
      ['code_interpreter', { code: 'print(1)\n1 + 1\n' }],
    ]);
    expect(await call('```js\n1\n```', [interpreter])).toEqual([]);
  });

  test('is text where there is none', async () => {
    expect(await say(asked)).toContain('print(1)');
  });
});

describe('what the offline model says', () => {
  test('its first sentence says that it is not a language model', async () => {
    expect(await say('Who are you?')).toMatch(HONEST);
  });

  test('it quotes the question and counts the messages it sees', async () => {
    const messages: LlmMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: [{ type: 'text', text: 'Why?' }] },
    ];
    const answer = await say('', { messages });
    expect(answer).toContain('"Why?"');
    expect(answer).toContain('2 messages (1 system, 1 user)');
  });

  test.each([
    ['repeat after me: I love llamas', 'I love llamas'],
    ['Please say "good morning"', 'good morning'],
    ['count to 4', '1 2 3 4'],
    ['Write 3 words', 'word1 word2 word3'],
  ])('%s', async (asked, answer) =>
    expect(await say(asked)).toBe(`I am Skein's offline model, not a language model. ${answer}`),
  );

  test('the same request is answered the same, call ids included', async () => {
    const request = requestOf('call get_weather in Oslo', { tools: [WEATHER] });
    expect(await collect(llm, request)).toEqual(await collect(llm, request));
  });

  test('it sends one word a chunk, so that a limit of tokens is a limit of words', async () => {
    expect(await say('count to 9', { maxCompletionTokens: 12 })).toMatch(/model\. 1 2 3 $/);
    const chunks = await collect(llm, requestOf('count to 9', { maxCompletionTokens: 18 }));
    const usage = { promptTokens: 3, completionTokens: 18, totalTokens: 21 };
    expect(chunks.at(-1)).toMatchObject({ reason: 'stop', usage });
  });

  test('a very long answer without delays still lets others run and can be aborted', async () => {
    const abort = new AbortController();
    setImmediate(() => abort.abort(new Error('enough')));
    await expect(collect(llm, requestOf('write 100000 words'), abort.signal)).rejects.toThrow('enough');
  });

  test('asked for a JSON object, it answers with one', async () => {
    const answer = JSON.parse(await say('hello', { responseFormat: { type: 'json_object' } }));
    expect(answer).toMatchObject({ note: expect.stringMatching(HONEST), youSaid: 'hello' });
  });

  test('it quotes every result of its calls by the name of the function', async () => {
    const messages: LlmMessage[] = [
      { role: 'user', content: [{ type: 'text', text: 'get_weather and get_time' }] },
      {
        role: 'assistant',
        content: [],
        toolCalls: [
          { id: 'a', name: 'get_weather', arguments: '{}' },
          { id: 'b', name: 'get_time', arguments: '{}' },
        ],
      },
      { role: 'tool', toolCallId: 'b', content: 'noon' },
      { role: 'tool', toolCallId: 'a', content: 'rain' },
    ];
    const answer = await say('', { messages, tools: [WEATHER, TIME] });
    expect(answer).toMatch(HONEST);
    expect(answer).toContain('get_time answered: "noon". get_weather answered: "rain".');
  });

  test('its list of models is itself', async () => {
    expect(await llm.models()).toEqual([{ id: 'offline', ownedBy: 'skein', createdAt: null }]);
  });
});

describe('which functions the offline model calls', () => {
  const SPELLINGS = ['GET_WEATHER', 'get-weather', 'get weather', 'getWeather', 'getweather'];
  test.each(SPELLINGS)('%s names get_weather', async (name) => {
    expect(await call(`please use ${name} in Paris`, [WEATHER])).toEqual([['get_weather', { city: 'Paris' }]]);
  });

  test('a longer name is not also the shorter one inside it', async () => {
    const search = withParameters('search', {}, []);
    const fileSearch = withParameters('file_search', { query: { type: 'string' } }, ['query']);
    const asked = 'use file search on llamas';
    expect(await call(asked, [search, fileSearch])).toEqual([['file_search', { query: asked }]]);
    expect(await call('research the forget_weathers', [search, WEATHER])).toEqual([]);
  });

  test('the same function named twice for two places is called twice, named twice for one place once', async () => {
    expect(await call('get_weather in Paris and get_weather in Rome', [WEATHER])).toEqual([
      ['get_weather', { city: 'Paris' }],
      ['get_weather', { city: 'Rome' }],
    ]);
    expect(await call('In Paris, call get_weather. I like get_weather.', [WEATHER])).toHaveLength(1);
  });

  test('without parallel calls only the first one is made', async () => {
    const calls = await call('get_time in Oslo and get_weather in Rome', [WEATHER, TIME], { parallelToolCalls: false });
    expect(calls).toEqual([['get_time', { city: 'Oslo' }]]);
  });

  test('`none` forbids, `required` and a name force', async () => {
    expect(await call('get_weather in Rome', [WEATHER], { toolChoice: 'none' })).toEqual([]);
    expect(await call('hello', [WEATHER, TIME], { toolChoice: 'required' })).toEqual([['get_weather', { city: '' }]]);
    expect(await call('get_weather in Rome', [WEATHER, TIME], { toolChoice: { name: 'get_time' } })).toEqual([
      ['get_time', { city: 'Rome' }],
    ]);
  });
});

describe('how the offline model fills arguments', () => {
  const TRIP = withParameters(
    'book_trip',
    {
      city: { type: 'string' },
      unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
      nights: { type: 'integer', minimum: 1 },
      price: { type: 'number' },
      flexible: { type: 'boolean' },
      tags: { type: 'array', items: { type: 'string' } },
    },
    ['city', 'nights'],
  );
  test.each<[string, object]>([
    ['book_trip city=Rome nights=3', { city: 'Rome', nights: 3 }],
    ['book_trip to New York for 2 nights', { city: 'New York', nights: 2 }],
    ['book_trip "Los Angeles", 4, in Fahrenheit', { city: 'Los Angeles', unit: 'fahrenheit', nights: 4 }],
    ['book_trip city: San Jose please, flexible: true', { city: 'San Jose', nights: 1, flexible: true }],
    ['book_trip price=9.5, 2 nights, city="Rio"', { city: 'Rio', nights: 2, price: 9.5 }],
    ['book_trip tags=["a", "b"] at Oslo', { city: 'Oslo', nights: 1, tags: ['a', 'b'] }],
    ['book_trip', { city: '', nights: 1 }],
  ])('%s', async (asked, args) => expect(await call(asked, [TRIP])).toEqual([['book_trip', args]]));

  test('code comes from a code block, or from the sum in the sentence', async () => {
    const python = withParameters('code_interpreter', { code: { type: 'string' } }, ['code']);
    const block = 'code interpreter: ```python\nprint(1)\n```';
    expect(await call(block, [python])).toEqual([['code_interpreter', { code: 'print(1)\n' }]]);
    const sum = 'code interpreter, what is 12 * 7?';
    expect(await call(sum, [python])).toEqual([['code_interpreter', { code: 'print(12 * 7)' }]]);
  });

  test('placeholders fit references, alternatives, formats and limits, and endless schemas end', async () => {
    const schema = {
      type: 'object',
      properties: {
        day: { type: 'string', format: 'date' },
        level: { type: 'integer', minimum: 5, multipleOf: 3 },
        below: { type: 'number', exclusiveMaximum: 0 },
        kind: { const: 'trip' },
        pair: { type: 'array', minItems: 2, items: { type: 'boolean' } },
        maybe: { anyOf: [{ $ref: '#/$defs/name' }, { type: 'null' }] },
        self: { $ref: '#' },
      },
      required: ['day', 'level', 'below', 'kind', 'pair', 'maybe'],
      $defs: { name: { type: 'string', minLength: 2 } },
    };
    const format = { type: 'json_schema' as const, name: 'x', description: null, strict: false };
    const fits = { day: '1970-01-01', level: 6, below: -1, kind: 'trip', pair: [false, false], maybe: '--' };
    expect(JSON.parse(await say('go', { responseFormat: { ...format, schema } }))).toEqual(fits);
    const endless = { type: 'object', properties: { next: { $ref: '#' } } };
    const nested = JSON.parse(await say('go', { responseFormat: { ...format, schema: endless } }));
    expect(nested).toMatchObject({ next: { next: {} } });
    const circle = { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } };
    expect(JSON.parse(await say('go', { responseFormat: { ...format, schema: circle } }))).toBeNull();
  });
});
