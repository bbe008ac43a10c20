import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Llm, LlmChunk } from '../../src/llm/llm.ts';
import { createOpenAi } from '../../src/llm/openai.ts';
import { callsOf, collect, requestOf, textOf } from './llm-contract.ts';
import { delta, type EventStream, finish, type ModelServer, openModelServer, streamTo, USAGE } from './model-server.ts';

let play: (stream: EventStream, response: ServerResponse) => void;
let server: ModelServer;
let llm: Llm;
beforeAll(async () => {
  server = await openModelServer(({ response }) => play(streamTo(response), response));
  llm = createOpenAi({ apiKey: 'sk-test', baseUrl: server.url, timeoutMs: 5000, logger: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await llm.close();
  await server.close();
});

async function answer(how: typeof play): Promise<LlmChunk[]> {
  play = how;
  return collect(llm, requestOf('hello'));
}

const sends = (...chunks: object[]): Promise<LlmChunk[]> =>
  answer((stream) => {
    stream.send(...chunks);
    stream.end();
  });

describe('how an answer ends', () => {
  test('usage that comes after the finish_reason is part of the one finish chunk', async () => {
    const usage = {
      prompt_tokens: 9,
      completion_tokens: 4,
      total_tokens: 13,
      prompt_tokens_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 2 },
    };
    expect(await sends(delta({ content: 'Hi' }), finish('stop'), { choices: [], usage })).toEqual([
      { type: 'text', value: 'Hi' },
      {
        type: 'finish',
        reason: 'stop',
        usage: { promptTokens: 9, completionTokens: 4, totalTokens: 13, cachedTokens: 8, reasoningTokens: 2 },
      },
    ]);
  });

  test('without usage the finish chunk says null', async () => {
    expect((await sends(finish('stop'))).at(-1)).toEqual({ type: 'finish', reason: 'stop', usage: null });
  });

  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['end_turn', 'stop'],
    ['tool_calls', 'stop'],
  ])('finish_reason %s without calls is %s', async (wire, reason) => {
    expect((await sends(finish(wire))).at(-1)).toMatchObject({ reason });
  });

  test.each(['tool_calls', 'function_call', 'stop'])('finish_reason %s after a call is tool_calls', async (wire) => {
    const call = { index: 0, id: 'a', type: 'function', function: { name: 'now', arguments: '{}' } };
    expect((await sends(delta({ tool_calls: [call] }), finish(wire))).at(-1)).toMatchObject({ reason: 'tool_calls' });
  });

  test('a server that never says [DONE] and keeps silent after the finish_reason has still answered', async () => {
    const chunks = await answer((stream) => stream.send(delta({ content: 'Hi' }), finish('stop')));
    expect(chunks.at(-1)).toMatchObject({ type: 'finish', usage: null });
  });

  test('a server that drops the connection after the finish_reason has still answered', async () => {
    const chunks = await answer((stream, response) => {
      stream.send(delta({ content: 'Hi' }), finish('stop'));
      setImmediate(() => response.destroy());
    });
    expect(chunks.at(-1)).toMatchObject({ type: 'finish', reason: 'stop' });
  });

  test('a last event without its empty line counts', async () => {
    const chunks = await answer((stream, response) => {
      stream.raw(`data: ${JSON.stringify(finish('stop'))}`);
      response.end();
    });
    expect(chunks).toMatchObject([{ type: 'finish' }]);
  });
});

describe('how a stream may be cut and dressed', () => {
  test('events, lines and characters may be cut anywhere', async () => {
    const text = 'Grüße, 世界 👋';
    const events = [delta({ content: text }), delta({ content: '!' }), finish('stop'), USAGE];
    const wire = Buffer.from(events.map((chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`).join(''));
    const chunks = await answer((_stream, response) => {
      let at = 0;
      const next = (): void => {
        if (at < wire.length) response.write(wire.subarray(at++, at), () => setImmediate(next));
        else response.end();
      };
      next();
    });
    expect(textOf(chunks)).toBe(`${text}!`);
    expect(chunks.at(-1)).toMatchObject({ usage: { totalTokens: 5 } });
  });

  test('comments, other fields, empty data, empty choices and unknown lines are passed over', async () => {
    const chunks = await answer((stream) => {
      stream.raw(': OPENROUTER PROCESSING\n\nretry: 5\nid: 7\nnonsense\ndata:\n\n');
      stream.raw('event: message\n');
      stream.send(delta({ content: 'Hi' }), { choices: [] }, { id: 'x' }, delta({}), { choices: [{ delta: null }] });
      stream.send({ choices: [{ delta: { content: null, reasoning_content: 'hm' } }] }, finish('stop'));
      stream.end();
    });
    expect(chunks).toMatchObject([{ type: 'text', value: 'Hi' }, { type: 'finish' }]);
  });

  test('refusals are told apart, and content in parts is joined', async () => {
    const parts = [{ type: 'text', text: 'a' }, { type: 'reference' }, { type: 'text', text: 'b' }];
    expect(await sends(delta({ refusal: 'No.' }), delta({ content: parts }), finish('stop'))).toMatchObject([
      { type: 'refusal', value: 'No.' },
      { type: 'text', value: 'ab' },
      { type: 'finish' },
    ]);
  });

  test('many chunks of one read come without a wait for the socket between them', async () => {
    const many = Array.from({ length: 200 }, (_, at) => delta({ content: `${at} ` }));
    play = (stream) => {
      stream.send(...many, finish('stop'));
      stream.end();
    };
    let turns = 0;
    let texts = 0;
    let counting = true;
    const count = (): void => {
      turns++;
      if (counting) setImmediate(count);
    };
    for await (const chunk of llm.stream(requestOf('hello'), new AbortController().signal)) {
      if (chunk.type === 'text' && ++texts === 1) setImmediate(count);
    }
    counting = false;
    expect(texts).toBe(200);
    expect(turns).toBeLessThan(20);
  });

  test('a slow reader gets all of a long answer', async () => {
    play = (stream) => {
      for (let at = 0; at < 3000; at++) stream.send(delta({ content: 'x'.repeat(1000) }));
      stream.send(finish('stop'));
      stream.end();
    };
    let length = 0;
    for await (const chunk of llm.stream(requestOf('hello'), new AbortController().signal)) {
      if (chunk.type === 'text') length += chunk.value.length;
      if (length % 100_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(length).toBe(3_000_000);
  });
});

describe('how servers send tool calls', () => {
  const call = (fields: object, fn: object): object => ({ ...fields, function: fn });
  const calls = (...deltas: object[][]): Promise<LlmChunk[]> =>
    sends(...deltas.map((tool_calls) => delta({ tool_calls })), finish('tool_calls'));
  const A = { id: 'a', name: 'f', arguments: { x: 1 } };
  const B = { id: 'b', name: 'g', arguments: { y: 2 } };
  const F = { name: 'f', arguments: '{"x":1}' };
  const G = { name: 'g', arguments: '{"y":2}' };

  test.each<[string, object[][]]>([
    [
      'as OpenAI does',
      [
        [call({ index: 0, id: 'a', type: 'function' }, { name: 'f', arguments: '' })],
        [call({ index: 0 }, { arguments: '{"x"' })],
        [call({ index: 0 }, { arguments: ':1}' })],
        [call({ index: 1, id: 'b', type: 'function' }, { name: 'g', arguments: '' })],
        [call({ index: 1 }, { arguments: '{"y":2}' })],
      ],
    ],
    ['whole and in one delta, without index', [[call({ id: 'a' }, F), call({ id: 'b' }, G)]]],
    [
      'with arguments as an object',
      [
        [call({ index: 0, id: 'a' }, { name: 'f', arguments: { x: 1 } })],
        [call({ index: 1, id: 'b' }, { name: 'g', arguments: { y: 2 } })],
      ],
    ],
    [
      'with every index 0 and an id for each call',
      [[call({ index: 0, id: 'a' }, F)], [call({ index: 0, id: 'b' }, G)]],
    ],
    [
      'with id and name repeated in every delta',
      [
        [call({ index: 0, id: 'a' }, { name: 'f', arguments: '{"x"' })],
        [call({ index: 0, id: 'a' }, { name: 'f', arguments: ':1}' })],
        [call({ index: 1, id: 'b' }, { name: 'g', arguments: '{"y"' })],
        [call({ index: 1, id: 'b' }, { name: 'g', arguments: ':2}' })],
      ],
    ],
    [
      'with a fresh id in every delta of a call',
      [
        [call({ index: 0, id: 'a' }, { name: 'f', arguments: '' })],
        [call({ index: 0, id: 'zzz' }, { arguments: '{"x":1}' })],
        [call({ index: 1, id: 'b' }, { name: 'g', arguments: '' })],
        [call({ index: 1, id: 'yyy' }, { arguments: '{"y":2}' })],
      ],
    ],
    [
      'interleaved by id without index',
      [
        [call({ id: 'a' }, { name: 'f', arguments: '{"x"' })],
        [call({ id: 'b' }, { name: 'g', arguments: '{"y"' })],
        [call({ id: 'a' }, { arguments: ':1}' }), call({ id: 'b' }, { arguments: ':2}' })],
      ],
    ],
    ['with numbers that do not begin at 0', [[call({ index: 3, id: 'a' }, F)], [call({ index: 7, id: 'b' }, G)]]],
  ])('%s', async (_name, deltas) => {
    expect(callsOf(await calls(...deltas))).toEqual([A, B]);
  });

  test('a name in pieces is whole in the first part', async () => {
    const pieces = ['get_', 'weather'].map((name) => [call({ index: 0, id: 'a' }, { name })]);
    expect(callsOf(await calls(...pieces, [call({ index: 0 }, { arguments: '{}' })]))).toEqual([
      { id: 'a', name: 'get_weather', arguments: {} },
    ]);
  });

  test('without ids, calls are told apart by order and get ids of their own', async () => {
    const made = callsOf(
      await calls(
        [call({}, { name: 'f', arguments: '{"x":' })],
        [call({}, { arguments: '1}' })],
        [call({}, { name: 'f', arguments: '{"x":2}' }), call({}, { name: 'now' })],
      ),
    );
    const expected = [{ name: 'f', arguments: { x: 1 } }, { name: 'f', arguments: { x: 2 } }, { name: 'now' }];
    expect(made).toMatchObject(expected);
    expect(new Set(made.map(({ id }) => id)).size).toBe(3);
    for (const { id } of made) expect(id).toMatch(/^call_/);
  });

  test('a call without arguments is still announced', async () => {
    const chunks = await calls([call({ index: 0, id: 'a' }, { name: 'now' })]);
    expect(chunks[0]).toEqual({ type: 'toolCall', index: 0, id: 'a', name: 'now', arguments: '' });
  });

  test('the old function_call is a tool call', async () => {
    const old = (fields: object): object => delta({ function_call: fields });
    const deltas = [old({ name: 'f', arguments: '' }), old({ arguments: '{"x":1}' })];
    const chunks = await sends(...deltas, finish('function_call'));
    expect(callsOf(chunks)).toEqual([{ id: expect.stringMatching(/^call_/), name: 'f', arguments: { x: 1 } }]);
    expect(chunks.at(-1)).toMatchObject({ reason: 'tool_calls' });
  });

  test('text before a call stays before it', async () => {
    const made = delta({ tool_calls: [call({ index: 0, id: 'a' }, { name: 'f' })] });
    const chunks = await sends(delta({ content: 'Let me see.' }), made, finish('stop'));
    expect(chunks.map((chunk) => chunk.type)).toEqual(['text', 'toolCall', 'finish']);
  });
});
