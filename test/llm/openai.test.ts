import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { LLMock } from '@copilotkit/aimock';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Llm } from '../../src/llm/llm.ts';
import { createOpenAi } from '../../src/llm/openai.ts';
import { collect, describeLlm, requestOf, textOf, WEATHER } from './llm-contract.ts';
import { delta, type Exchange, finish, type ModelServer, openModelServer, streamTo, USAGE } from './model-server.ts';

const logger = pino({ level: 'silent' });
const words = (count: number): string => Array.from({ length: count }, (_, at) => `word${at}`).join(' ');

describeLlm('openai', async () => {
  const mock = new LLMock({ chunkSize: 5 });
  mock.on({ hasToolResult: true, toolResultContains: 'sunny' }, { content: 'It says: 21 degrees and sunny' });
  mock.onMessage(/^say /, ({ messages }) => ({ content: String(messages.at(-1)?.content).slice(4) }));
  mock.onMessage(/^Ada is 36/, { content: '{"age": 36}' });
  mock.onMessage(/^write 500/, ({ max_completion_tokens: limit }) =>
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

describe('connections', () => {
  let server: ModelServer | null = null;
  let llm: Llm | null = null;
  const open = async (...how: Parameters<typeof openModelServer>): Promise<void> => {
    server = await openModelServer(...how);
    llm = createOpenAi({ apiKey: 'sk-test', baseUrl: server.url, timeoutMs: 5000, logger });
  };
  afterEach(async () => {
    await llm?.close();
    await server?.close();
    llm = server = null;
  });

  test('one connection serves turn after turn', async () => {
    await open(answerOk);
    for (let turn = 0; turn < 5; turn++) await collect(llm!, requestOf('hello'));
    await llm!.models();
    expect(server!.opened).toBe(1);
  });

  test('a kept connection that the server closed meanwhile is replaced unnoticed', async () => {
    await open(({ request, response, body }) => {
      // The first connection dies with its second request, as an idle one does that the server gives up.
      if (server!.opened === 1 && server!.requests.length > 1) request.socket.destroy();
      else answerOk({ request, response, body });
    });
    await collect(llm!, requestOf('hello'));
    expect(textOf(await collect(llm!, requestOf('hello')))).toBe('Hi!');
    expect(server!.opened).toBe(2);
  });

  test('abort destroys the socket at once and the reader hears the reason', async () => {
    let closedAt = 0;
    await open(({ request, response }) => {
      request.socket.on('close', () => (closedAt = performance.now()));
      streamTo(response).send(delta({ content: 'Hi' }));
    });
    const abort = new AbortController();
    const chunks = llm!.stream(requestOf('hello'), abort.signal)[Symbol.asyncIterator]();
    expect(await chunks.next()).toMatchObject({ value: { type: 'text', value: 'Hi' } });
    const pending = chunks.next();
    const abortedAt = performance.now();
    abort.abort('stop');
    await expect(pending).rejects.toBe('stop');
    expect(performance.now() - abortedAt).toBeLessThan(250);
    await vi.waitFor(() => expect(closedAt).toBeGreaterThan(0));
    expect(closedAt - abortedAt).toBeLessThan(250);
  });

  test('abort before the server answers does the same', async () => {
    const asked = Promise.withResolvers<void>();
    await open(() => asked.resolve());
    const abort = new AbortController();
    const pending = collect(llm!, requestOf('hello'), abort.signal);
    await asked.promise;
    abort.abort('stop');
    await expect(pending).rejects.toBe('stop');
    await vi.waitFor(() => expect(server!.sockets.size).toBe(0));
  });

  test('a reader that leaves early takes its connection along', async () => {
    await open(({ response }) => streamTo(response).send(delta({ content: 'Hi' })));
    for await (const chunk of llm!.stream(requestOf('hello'), new AbortController().signal)) {
      expect(chunk.type).toBe('text');
      break;
    }
    await vi.waitFor(() => expect(server!.sockets.size).toBe(0));
  });

  test('close ends every connection, used or idle, and refuses more', async () => {
    await open(({ response, body, request }) => {
      if (body['model'] === 'slow') streamTo(response).send(delta({ content: 'Hi' }));
      else answerOk({ response, body, request });
    });
    const slow = llm!.stream(requestOf('', { model: 'slow' }), new AbortController().signal)[Symbol.asyncIterator]();
    await slow.next();
    await collect(llm!, requestOf('hello'));
    expect(server!.sockets.size).toBe(2);
    const cut = slow.next();
    await Promise.all([llm!.close(), expect(cut).rejects.toMatchObject({ code: 'server_error', retryable: false })]);
    await vi.waitFor(() => expect(server!.sockets.size).toBe(0));
    await expect(collect(llm!, requestOf('hello'))).rejects.toThrow('closed');
  });

  test('after close nothing of ours keeps a process alive', async () => {
    await open(({ response, request, body }) => {
      if (request.headers.authorization === 'Bearer endless') streamTo(response).send(delta({ content: 'Hi' }));
      else answerOk({ response, request, body });
    });
    const script = `
      import { pino } from 'pino';
      import { createOpenAi } from './src/llm/openai.ts';
      const request = ${JSON.stringify(requestOf('hello'))};
      const options = { baseUrl: '${server!.url}', timeoutMs: 60_000, logger: pino({ level: 'silent' }) };
      const open = (apiKey) => createOpenAi({ apiKey, ...options });
      const [whole, endless] = [open('whole'), open('endless')];
      for await (const chunk of whole.stream(request, new AbortController().signal)) console.log(chunk.type);
      const chunks = endless.stream(request, new AbortController().signal)[Symbol.asyncIterator]();
      await chunks.next();
      chunks.next().catch((error) => console.log(error.code));
      await Promise.all([whole.close(), endless.close()]);
    `;
    const options = { cwd: join(import.meta.dirname, '../..'), timeout: 15_000 };
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], options);
    expect(stdout.split('\n')).toEqual(['text', 'text', 'finish', 'server_error', '']);
  });

  test('a signal that outlives many turns keeps no listeners', async () => {
    await open(answerOk);
    const { signal } = new AbortController();
    let listening = 0;
    const add = vi.spyOn(signal, 'addEventListener').mockImplementation((...args) => {
      listening++;
      EventTarget.prototype.addEventListener.apply(signal, args as Parameters<EventTarget['addEventListener']>);
    });
    const remove = vi.spyOn(signal, 'removeEventListener').mockImplementation((...args) => {
      listening--;
      EventTarget.prototype.removeEventListener.apply(signal, args as Parameters<EventTarget['removeEventListener']>);
    });
    for (let turn = 0; turn < 3; turn++) await collect(llm!, requestOf('hello'), signal);
    expect(add).toHaveBeenCalled();
    expect(remove).toHaveBeenCalled();
    expect(listening).toBe(0);
  });

  test('https works with a certificate that the process trusts, and fails for good without', async () => {
    const certificate = selfSigned();
    await open(answerOk, certificate);
    await expect(collect(llm!, requestOf('hello'))).rejects.toMatchObject({ code: 'server_error', retryable: false });
    const trusted = tls.getCACertificates('default');
    tls.setDefaultCACertificates([...trusted, certificate.cert]);
    try {
      expect(textOf(await collect(llm!, requestOf('hello')))).toBe('Hi!');
      expect((await llm!.models()).map((model) => model.id)).toEqual(['a', 'b']);
    } finally {
      tls.setDefaultCACertificates(trusted);
    }
  });
});

function answerOk({ request, response }: Exchange): void {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ data: [{ id: 'a', owned_by: 'me', created: 1_700_000_000 }, { id: 'b' }] }));
    return;
  }
  const stream = streamTo(response);
  stream.send(delta({ role: 'assistant', content: '' }), delta({ content: 'Hi' }), delta({ content: '!' }));
  stream.send(finish('stop'), USAGE);
  stream.end();
}

function selfSigned(): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'skein-tls-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  const pair = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(folder, { recursive: true });
  return pair;
}
