import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  CreateAssistantDocument,
  CreateClientTokenDocument,
  CreateThreadDocument,
  RunDetailsDocument,
  SubmitToolOutputsDocument,
} from '../../../src/generated/graphql/graphql.ts';
import { stored } from '../../events/story.ts';
import { inChromium, type Window } from '../../playground/browser.ts';
import { startSkein, type TestSkein } from '../../skein.ts';
import type { Seen } from './page.tsx';

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
const OURS = ['get_weather', 'get_time', 'break_down'];

inChromium('the hooks, in a page of another origin', (windows) => {
  let skein: TestSkein;
  let site: Server;
  let folder: string;
  let assistantId: string;

  beforeAll(async () => {
    skein = await startSkein();
    folder = await mkdtemp(join(tmpdir(), 'skein-hooks-'));
    await build({
      root: import.meta.dirname,
      configFile: false,
      logLevel: 'error',
      mode: 'development',
      oxc: { jsx: { runtime: 'automatic' } },
      build: { outDir: folder, emptyOutDir: true, minify: false, rolldownOptions: { input: join(import.meta.dirname, 'page.html') } },
    });
    // The server that such a page comes from: it has the key, and gives out tokens for a thread.
    site = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://site');
      const answer = async () => {
        if (pathname !== '/token') {
          response.setHeader('content-type', TYPES[extname(pathname)] ?? 'text/plain');
          return readFile(join(folder, pathname));
        }
        const input = { threadIds: [searchParams.get('thread')!], scopes: ['RUN' as const], assistantIds: [assistantId] };
        return (await skein.query(CreateClientTokenDocument, { input })).createClientToken.token!;
      };
      answer().then(
        (body) => response.end(body),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    const tools = [...OURS, 'open_the_safe'].map((name) => ({
      function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } }, required: name === 'get_weather' ? ['city'] : [] } },
    }));
    assistantId = (await skein.query(CreateAssistantDocument, { input: { model: 'offline', tools } })).createAssistant.assistant!.id;
  });
  afterAll(async () => {
    await skein?.close();
    site?.closeAllConnections();
    site?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const newThread = async () => (await skein.query(CreateThreadDocument, { input: {} })).createThread.thread!.id;

  async function open(threadId: string): Promise<Window> {
    const { port } = site.address() as AddressInfo;
    const query = new URLSearchParams({ thread: threadId, assistant: assistantId, skein: `${skein.url}/graphql` });
    const page = await windows.open({ url: `http://127.0.0.1:${port}/page.html?${query}`, servers: [skein.url] });
    await page.getByRole('heading', { name: 'live' }).waitFor();
    return page;
  }

  const seenIn = (page: Window) => page.evaluate(() => (globalThis as unknown as { seen: Seen }).seen);
  const shown = (page: Window, label: string) => page.getByLabel(label, { exact: true });
  const items = (page: Window, list: string) => page.getByRole('list', { name: list }).getByRole('listitem');

  async function say(page: Window, text: string, button = 'Send'): Promise<void> {
    await page.getByLabel('Message', { exact: true }).fill(text);
    await page.getByRole('button', { name: button, exact: true }).click();
  }

  /** The run's own subscription has come to its end; that of the thread may be behind it. */
  const ends = (page: Window, status = 'COMPLETED') => shown(page, 'Status').getByText(status, { exact: true }).waitFor();

  test('useStartRun shows what is sent until it is stored, once', async () => {
    const page = await open(await newThread());
    await say(page, 'count to 20');
    await ends(page);
    const { drawn } = await seenIn(page);
    const first = drawn.findIndex(({ pending, stored: come }) => pending.length + come.length > 0);
    expect(drawn[first]).toEqual({ stored: [], pending: ['count to 20'] });
    // Never gone in between, never there twice.
    for (const { stored: come, pending } of drawn.slice(first)) expect([...come, ...pending]).toEqual(['count to 20']);
    expect(await items(page, 'Pending').count()).toBe(0);
    await expect.poll(() => shown(page, 'Busy').textContent()).toBe('false');
  });

  test('useStartRun takes back what is refused, and says why', async () => {
    const page = await open(await newThread());
    await say(page, 'is anybody there?', 'Send to nobody');
    await shown(page, 'Refused').getByText('input,assistantId').waitFor();
    expect(await items(page, 'Pending').count()).toBe(0);
    expect(await items(page, 'Messages').count()).toBe(0);
    expect((await seenIn(page)).drawn.some(({ pending }) => pending[0] === 'is anybody there?')).toBe(true);
  });

  test('useRun follows a run to its end, to the character', async () => {
    const threadId = await newThread();
    const page = await open(threadId);
    await say(page, 'write 60 words');
    await ends(page);
    await shown(page, 'Connection').getByText('ended').waitFor();
    const { messages } = await stored(skein, threadId);
    expect(await shown(page, 'Text').textContent()).toBe(messages[1]!.text);
    const { texts } = await seenIn(page);
    expect(texts.length).toBeGreaterThan(3);
    for (const text of texts) expect(messages[1]!.text.startsWith(text)).toBe(true);
    expect(await shown(page, 'Steps').textContent()).toBe('MESSAGE_CREATION');
  });

  test('useCancelRun ends it', async () => {
    const threadId = await newThread();
    const page = await open(threadId);
    await say(page, 'write 3000 words');
    await shown(page, 'Text').getByText('word5').waitFor();
    await page.getByRole('button', { name: 'Cancel', exact: true }).click();
    await ends(page, 'CANCELLED');
    const { messages } = await stored(skein, threadId);
    await expect.poll(() => items(page, 'Messages').nth(1).textContent()).toBe(messages[1]!.text);
    await page.getByRole('button', { name: 'Cancel', exact: true }).waitFor({ state: 'detached' });
  });

  test('useFunctionTools answers with what a function returns, and tells the model what it throws', async () => {
    const page = await open(await newThread());
    await say(page, 'Please get weather in Oslo, then get time, then break down');
    await ends(page);
    const calls = (await shown(page, 'Calls').textContent())!;
    expect(calls).toContain('get_weather {"city":"Oslo');
    expect(calls).toMatch(/→ \{"city":"Oslo[^}]*","degrees":-4\}/);
    expect(calls).toContain('→ ten past four');
    expect(calls).toContain('→ {"error":"the lift is out of order"}');
    const { called } = await seenIn(page);
    expect(called.toSorted()).toEqual(['break_down', 'get_time', expect.stringMatching(/^get_weather Oslo/)]);
    await expect.poll(() => items(page, 'Messages').last().textContent()).toContain('ten past four');
    expect(await shown(page, 'Not submitted').textContent()).toBe('');
  });

  test('useFunctionTools leaves a run alone that others must answer', async () => {
    const threadId = await newThread();
    const page = await open(threadId);
    await say(page, 'Please get time and open the safe');
    await shown(page, 'Left').getByText('get_time,open_the_safe').waitFor();
    expect((await seenIn(page)).called).toEqual([]);
    const { runs } = await stored(skein, threadId);
    const { run } = await skein.query(RunDetailsDocument, { id: runs[0]!.id });
    const toolOutputs = run!.requiredAction!.toolCalls.map(({ id }) => ({ toolCallId: id, output: 'done elsewhere' }));
    await skein.query(SubmitToolOutputsDocument, { input: { runId: run!.id, toolOutputs } });
    await ends(page);
    await expect.poll(() => shown(page, 'Left').textContent()).toBe('');
    expect((await seenIn(page)).called).toEqual([]);
  });

  test('two pages answer one call: the first is heard, and the other has nothing to complain of', async () => {
    const threadId = await newThread();
    const pages = [await open(threadId), await open(threadId)];
    await say(pages[0]!, 'Please get time');
    for (const page of pages) {
      await ends(page);
      await expect.poll(() => items(page, 'Messages').last().textContent()).toContain('ten past four');
      expect(await shown(page, 'Not submitted').textContent()).toBe('');
    }
    const calls = await Promise.all(pages.map((page) => shown(page, 'Calls').textContent()));
    expect(calls[0]).toBe(calls[1]);
    expect(calls[0]!.match(/→/g)).toHaveLength(1);
  });
});
