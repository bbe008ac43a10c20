import type { ServerResponse } from 'node:http';
import net from 'node:net';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Llm, LlmError } from '../../src/llm/llm.ts';
import { createOpenAi } from '../../src/llm/openai.ts';
import { collect, requestOf } from './llm-contract.ts';
import { delta, finish, type ModelServer, openModelServer, streamTo } from './model-server.ts';

const logger = pino({ level: 'silent' });
const KEY = 'sk-very-secret-key';
let answer: (response: ServerResponse) => void;
let server: ModelServer;
let llm: Llm;
beforeAll(async () => {
  server = await openModelServer(({ response }) => answer(response));
  llm = createOpenAi({ apiKey: KEY, baseUrl: server.url, timeoutMs: 300, logger });
});
afterAll(async () => {
  await llm.close();
  await server.close();
});

async function failure(of: Promise<unknown> = collect(llm, requestOf('hello'))): Promise<LlmError> {
  const error: unknown = await of.then(
    () => expect.fail('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof LlmError)) throw error;
  return error;
}

describe('what an HTTP status means', () => {
  const openai = (message: string, code: string | null = null, type = 'invalid_request_error') =>
    JSON.stringify({ error: { message, type, param: null, code } });
  const RATE = 'rate_limit_exceeded';

  // status, body, code, retryable, a part of the message
  test.each<[number, string, LlmError['code'], boolean, string]>([
    [400, openai('Invalid value'), 'invalid_prompt', false, 'answered 400: Invalid value'],
    [413, openai('Too large'), 'invalid_prompt', false, 'Too large'],
    [422, '{"detail":[{"msg":"field required"}]}', 'invalid_prompt', false, 'field required'],
    [400, openai('Too long', 'context_length_exceeded'), 'context_length_exceeded', false, 'Too long'],
    [
      400,
      '{"error":{"code":400,"message":"the request exceeds","type":"exceed_context_size_error","n_ctx":256}}',
      'context_length_exceeded',
      false,
      'the request exceeds',
    ],
    [
      400,
      '{"object":"error","message":"The maximum context length is 4096 tokens.","type":"BadRequestError","code":400}',
      'context_length_exceeded',
      false,
      '4096 tokens',
    ],
    [400, openai('Error while downloading x', 'invalid_image_url'), 'invalid_image_url', false, 'downloading'],
    [400, openai('Failed to download', 'failed_to_download_image'), 'invalid_image_url', false, 'download'],
    [404, openai('The model `x` does not exist', 'model_not_found'), 'model_not_found', false, 'does not exist'],
    [404, '{"error":"model \'x\' not found"}', 'model_not_found', false, "model 'x' not found"],
    [404, '<html><body>nginx</body></html>', 'model_not_found', false, 'an HTML page'],
    [403, openai('No access to model', 'model_not_found'), 'model_not_found', false, 'No access'],
    [401, openai(`Incorrect API key provided: ${KEY}`, 'invalid_api_key'), 'server_error', false, 'OPENAI_API_KEY'],
    [403, openai('Country not supported', 'unsupported_country'), 'server_error', false, 'OPENAI_API_KEY'],
    [429, openai('Slow down', RATE, 'requests'), RATE, true, 'Slow down'],
    [429, openai('You exceeded your current quota', 'insufficient_quota', 'insufficient_quota'), RATE, false, 'quota'],
    [402, openai('Payment required'), RATE, false, 'Payment required'],
    [408, openai('Timed out'), 'server_error', true, 'Timed out'],
    [409, openai('Conflict'), 'server_error', true, 'Conflict'],
    [500, openai('The server had an error', null, 'server_error'), 'server_error', true, 'had an error'],
    [501, openai('Not supported'), 'server_error', false, 'Not supported'],
    [502, '<!DOCTYPE html><h1>Bad Gateway</h1>', 'server_error', true, 'answered 502: an HTML page'],
    [503, '', 'server_error', true, 'answered 503'],
    [503, '[{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}]', 'server_error', true, 'Overloaded'],
    [418, openai('A teapot'), 'server_error', false, 'A teapot'],
    [307, '', 'server_error', false, 'redirected to https://elsewhere.example/v1'],
  ])('%i %s is %s, retryable: %s', async (status, body, code, retryable, message) => {
    answer = (response) => {
      response.writeHead(status, { 'content-type': 'application/json', location: 'https://elsewhere.example/v1' });
      response.end(body);
    };
    const error = await failure();
    expect(error).toMatchObject({ code, retryable, retryAfterMs: null });
    expect(error.message).toContain(message);
    expect(error.message).not.toContain(KEY);
    expect(inspect(error, { depth: 10 })).not.toContain(KEY);
  });

  test.each<[Record<string, string>, number, number]>([
    [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1500, 1500],
    [{ 'retry-after': '2.5' }, 2500, 2500],
    [{ 'retry-after': new Date(Date.now() + 60_000).toUTCString() }, 40_000, 61_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }, 0, 0],
  ])('%o says when to come back', async (headers, least, most) => {
    answer = (response) => void response.writeHead(429, headers).end('{}');
    const { retryAfterMs, retryable } = await failure();
    expect(retryable).toBe(true);
    expect(retryAfterMs).toBeGreaterThanOrEqual(least);
    expect(retryAfterMs).toBeLessThanOrEqual(most);
  });

  test('a server that says x-should-retry: false is believed', async () => {
    answer = (response) => void response.writeHead(500, { 'x-should-retry': 'false' }).end('{}');
    expect(await failure()).toMatchObject({ code: 'server_error', retryable: false });
  });

  test('the list of models fails in the same words', async () => {
    answer = (response) => void response.writeHead(401).end(openai('Who are you?'));
    expect((await failure(llm.models())).message).toContain('OPENAI_API_KEY');
    answer = (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    expect((await failure(llm.models())).message).toContain('broken JSON');
    answer = (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"models":[]}');
    expect((await failure(llm.models())).message).toContain('list of models');
    answer = () => {};
    expect(await failure(llm.models())).toMatchObject({ code: 'server_error', retryable: true });
    await expect(llm.models(AbortSignal.abort('enough'))).rejects.toBe('enough');
  });
});

describe('what a failing connection means', () => {
  test('nobody listens: try again later', async () => {
    const gone = await openModelServer(() => {});
    await gone.close();
    const lost = createOpenAi({ apiKey: KEY, baseUrl: gone.url, timeoutMs: 300, logger });
    const error = await failure(collect(lost, requestOf('hello')));
    expect(error).toMatchObject({ code: 'server_error', retryable: true });
    expect(error.message).toMatch(/connection to the model server failed.*ECONNREFUSED/);
    await lost.close();
  });

  test('a reset before the answer: try again later', async () => {
    const rude = net.createServer((socket) => socket.on('data', () => socket.resetAndDestroy()));
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const { port } = rude.address() as net.AddressInfo;
    const lost = createOpenAi({ apiKey: KEY, baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 300, logger });
    expect(await failure(collect(lost, requestOf('hello')))).toMatchObject({ code: 'server_error', retryable: true });
    await lost.close();
    await new Promise((resolve) => rude.close(resolve));
  });

  test('something that does not speak HTTP: hopeless', async () => {
    const other = net.createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-OpenSSH_9.2\r\n'),
    );
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as net.AddressInfo;
    const lost = createOpenAi({ apiKey: KEY, baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 300, logger });
    expect(await failure(collect(lost, requestOf('hello')))).toMatchObject({ code: 'server_error', retryable: false });
    await lost.close();
    await new Promise((resolve) => other.close(resolve));
  });

  test('silence instead of an answer: try again later', async () => {
    answer = () => {};
    const error = await failure();
    expect(error).toMatchObject({ code: 'server_error', retryable: true });
    expect(error.message).toBe('The model server said nothing for 0.3 s');
  });

  test('silence after the headers: try again later', async () => {
    answer = (response) => streamTo(response).raw(': hello\n\n');
    expect(await failure()).toMatchObject({ code: 'server_error', retryable: true });
  });

  test('silence in the middle of the answer: not again, for half of it is out', async () => {
    answer = (response) => streamTo(response).send(delta({ content: 'Hi' }));
    const error = await failure();
    expect(error).toMatchObject({ code: 'server_error', retryable: false });
    expect(error.message).toContain('said nothing');
  });

  test('a server that says something often enough may take as long as it likes', async () => {
    answer = (response) => {
      const stream = streamTo(response);
      let beats = 0;
      const beat = setInterval(() => {
        if (++beats < 8) return stream.raw(': still thinking\n\n');
        clearInterval(beat);
        stream.send(delta({ content: 'Hi' }), finish('stop'));
        stream.end();
      }, 60);
    };
    expect((await collect(llm, requestOf('hello'))).at(-1)).toMatchObject({ type: 'finish', reason: 'stop' });
  });

  test('a disconnect in the middle keeps what came before it and is not tried again', async () => {
    answer = (response) => {
      streamTo(response).send(delta({ content: 'Hi' }));
      setImmediate(() => response.destroy());
    };
    const seen: string[] = [];
    const error = await failure(
      (async () => {
        for await (const chunk of llm.stream(requestOf('hello'), new AbortController().signal)) seen.push(chunk.type);
      })(),
    );
    expect(seen).toEqual(['text']);
    expect(error).toMatchObject({ code: 'server_error', retryable: false });
    expect(error.message).toContain('connection to the model server failed');
  });
});

describe('errors inside a stream of status 200', () => {
  // the event, code, retryable, a part of the message
  test.each<[string, LlmError['code'], boolean, string]>([
    ['data: {"error":{"message":"Overloaded","type":"server_error"}}', 'server_error', true, 'Overloaded'],
    ['event: error\ndata: {"message":"Broken"}', 'server_error', true, 'Broken'],
    ['event: error\ndata: {"what":"ever"}', 'server_error', true, '"what"'],
    ['data: {"error":"just words"}', 'server_error', true, 'just words'],
    ['data: {"error":{"code":429,"message":"Slow down"}}', 'rate_limit_exceeded', true, 'answered 429: Slow down'],
    ['data: {"error":{"code":"rate_limit_exceeded","message":"Slow"}}', 'rate_limit_exceeded', true, 'Slow'],
    ['data: {"error":{"code":"insufficient_quota","message":"Broke"}}', 'rate_limit_exceeded', false, 'Broke'],
    ['data: {"error":{"code":400,"message":"Bad tools"}}', 'invalid_prompt', false, 'Bad tools'],
    ['data: {"error":{"type":"invalid_request_error","message":"Bad"}}', 'invalid_prompt', false, 'Bad'],
    ['data: {"error":{"code":500,"message":"Out of memory"}}', 'server_error', true, 'Out of memory'],
    ['data: not json at all', 'server_error', true, 'not JSON: not json at all'],
    ['data: {"choices":[{"delta":{},"finish_reason":"error"}]}', 'server_error', true, 'ended with an error'],
  ])('%s', async (event, code, retryable, message) => {
    answer = (response) => {
      streamTo(response).raw(`${event}\n\n`);
      response.end();
    };
    const error = await failure();
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).toContain(message);
  });

  test('after the first chunk none of them is tried again', async () => {
    answer = (response) => {
      const stream = streamTo(response);
      stream.send(delta({ content: 'Hi' }), { error: { message: 'Overloaded', type: 'server_error' } });
      stream.end();
    };
    expect(await failure()).toMatchObject({ code: 'server_error', retryable: false });
  });

  test.each<[string, string, string, boolean]>([
    ['an empty body', 'text/event-stream', '', true],
    ['nothing but [DONE]', 'text/event-stream', 'data: [DONE]\n\n', true],
    ['a page', 'text/html', '<html><body>Welcome</body></html>', false],
    ['a broken body', 'application/json', '{malformed json: <<<', false],
    ['lines that are no fields', 'text/event-stream', 'nonsense\nmore nonsense\n\n', true],
  ])('%s ended without a finish_reason', async (_name, type, body, retryable) => {
    answer = (response) => void response.writeHead(200, { 'content-type': type }).end(body);
    const error = await failure();
    expect(error).toMatchObject({ code: 'server_error', retryable });
    expect(error.message).toContain('ended without a finish_reason');
  });

  test('text without a finish_reason is no answer', async () => {
    answer = (response) => {
      const stream = streamTo(response);
      stream.send(delta({ content: 'Hi' }));
      stream.end();
    };
    const error = await failure();
    expect(error).toMatchObject({ code: 'server_error', retryable: false });
    expect(error.message).toContain('ended without a finish_reason');
  });

  test('an error in a plain JSON body of status 200 is read', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"No credits","code":402}}');
    };
    expect(await failure()).toMatchObject({ code: 'rate_limit_exceeded', retryable: false });
  });

  test('an event without end is cut off', async () => {
    answer = (response) => {
      const part = 'x'.repeat(1024 * 1024);
      streamTo(response).raw('data: "');
      const more = (): void => {
        if (!response.destroyed) response.write(part, more);
      };
      more();
    };
    const error = await failure();
    expect(error.message).toContain('exceeds 16777216 characters');
  });
});
