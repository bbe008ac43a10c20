import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { eventually } from '../eventually.ts';
import type { Llm } from '../../src/llm/llm.ts';
import { createOpenAi } from '../../src/llm/openai.ts';
import { collect, requestOf, textOf } from './llm-contract.ts';
import { answerOk, delta, type ModelServer, openModelServer, streamTo } from './model-server.ts';

const logger = pino({ level: 'silent' });

describe('connections of the openai driver', () => {
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
    await eventually(() => expect(closedAt).toBeGreaterThan(0));
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
    await eventually(() => expect(server!.sockets.size).toBe(0));
  });

  test('a reader that leaves early takes its connection along', async () => {
    await open(({ response }) => streamTo(response).send(delta({ content: 'Hi' })));
    for await (const chunk of llm!.stream(requestOf('hello'), new AbortController().signal)) {
      expect(chunk.type).toBe('text');
      break;
    }
    await eventually(() => expect(server!.sockets.size).toBe(0));
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
    await eventually(() => expect(server!.sockets.size).toBe(0));
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
