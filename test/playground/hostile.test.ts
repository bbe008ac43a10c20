import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ConversationDocument,
  CreateAssistantDocument,
  CreateThreadDocument,
  FilesDocument,
  type MessageInput,
  StartRunDocument,
  SubmitToolOutputsDocument,
  UploadFileDocument,
} from '../../src/generated/graphql/graphql.ts';
import { eventually } from '../eventually.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { inChromium, settled, type Window } from './browser.ts';
import { PAYLOADS } from './payloads.ts';

const TEXTS = PAYLOADS.map(({ text }) => text);
/** What no payload names. */
const ANIMALS = ['alpaca', 'badger', 'caracal', 'dingo', 'echidna', 'falcon', 'gibbon', 'hyena', 'ibex'];
/** White space is the page's own affair. */
const flat = (text: string): string => text.replaceAll(/\s+/g, ' ');

inChromium('what others have written', (windows) => {
  let skein: TestSkein;
  let assistantId: string;

  beforeAll(async () => {
    skein = await startSkein({ SANDBOX_DRIVER: 'auto' });
    const parameters = { type: 'object', properties: { [TEXTS[1]!]: { type: 'string', title: TEXTS[2], description: TEXTS[3] } } };
    const { createAssistant } = await skein.query(CreateAssistantDocument, {
      input: {
        name: TEXTS[0],
        description: TEXTS[4],
        instructions: TEXTS.join('\n'),
        model: 'offline',
        tools: [
          { codeInterpreter: {} },
          { fileSearch: {} },
          { function: { name: 'get_weather', description: TEXTS[5], parameters } },
        ],
      },
    });
    expect(createAssistant.userErrors).toEqual([]);
    assistantId = createAssistant.assistant!.id;
  });
  afterAll(() => skein?.close());

  const says = (role: 'USER' | 'ASSISTANT', text: string): MessageInput => ({ role, content: [{ text }] });

  async function thread(...messages: MessageInput[]): Promise<string> {
    const { createThread } = await skein.query(CreateThreadDocument, { input: { title: 'hostile', messages } });
    return createThread.thread!.id;
  }

  async function run(threadId: string, text: string, more: Partial<MessageInput> = {}): Promise<string> {
    const additionalMessages = [{ content: [{ text }], ...more }];
    const { startRun } = await skein.query(StartRunDocument, { input: { assistantId, threadId, additionalMessages } });
    expect(startRun.userErrors).toEqual([]);
    return startRun.run!.id;
  }

  async function upload(name: string, text: string): Promise<string> {
    const file = new File([text], name, { type: 'text/plain' });
    const { uploadFile } = await skein.query(UploadFileDocument, { input: { file, purpose: 'ASSISTANTS' } });
    expect(uploadFile.userErrors).toEqual([]);
    return uploadFile.file!.id;
  }

  /** The page at a place. */
  const open = (hash: string): Promise<Window> => windows.open({ url: skein.url, key: skein.key, hash });

  /** All of them are to be read, and none of them is anything else. */
  async function expectOnlyText(page: Window, expected: readonly string[]): Promise<void> {
    const url = page.url();
    for (const text of expected) {
      const isThere = (wanted: string) => {
        const fields = [...document.querySelectorAll<HTMLInputElement>('input, textarea')].map(({ value }) => value);
        return [document.body.textContent, ...fields].some((all) => all.replaceAll(/\s+/g, ' ').includes(wanted));
      };
      await page.waitForFunction(isThere, flat(text), { timeout: 10_000 }).catch(() => expect.fail(`${text} is not to be read`));
    }
    const found = await page.evaluate(() => ({
      ran: (globalThis as { __xss?: unknown }).__xss ?? null,
      elements: [...document.querySelectorAll('main :is(script, iframe, object, embed, base, meta, link, style, math, video, audio, source, animate)')].map(
        ({ outerHTML }) => outerHTML,
      ),
      handlers: [...document.querySelectorAll('*')].flatMap((element) =>
        element.getAttributeNames().filter((name) => name.startsWith('on') || name === 'srcdoc' || name === 'formaction').map((name) => `${element.outerHTML.slice(0, 80)} ${name}`),
      ),
      links: [...document.querySelectorAll<HTMLAnchorElement>('a[href], form[action]')].flatMap((element) => {
        const { protocol } = new URL(element.getAttribute('href') ?? element.getAttribute('action')!, location.href);
        return ['http:', 'https:', 'mailto:'].includes(protocol) ? [] : [element.outerHTML];
      }),
      pictures: [...document.images].filter(({ src }) => src !== '' && new URL(src).origin !== location.origin && !src.startsWith('data:image/')).map(({ src }) => src),
    }));
    expect(found).toEqual({ ran: null, elements: [], handlers: [], links: [], pictures: [] });
    expect(page.url()).toBe(url);
  }

  test('in messages is a text', async () => {
    const own = await open(`#/threads/${await thread(...TEXTS.map((text) => says('USER', text)))}`);
    const seen: string[] = [];
    await everyArticle(own, seen);
    for (const text of TEXTS) expect(seen.map(flat)).toContain(flat(text));
    await expectOnlyText(own, []);

    const said = await open(`#/threads/${await thread(...TEXTS.map((text) => says('ASSISTANT', text)))}`);
    const markdown: string[] = [];
    await everyArticle(said, markdown);
    for (const { text, asMarkdown } of PAYLOADS) expect(markdown.map(flat)).toContain(flat(asMarkdown ?? text));
    await expectOnlyText(said, []);
    // Within Markdown that is more than a line, too.
    const all = TEXTS.map((text) => `- ${text}\n\n> ${text}\n\n| a |\n|---|\n| ${text.replaceAll('|', '')} |\n\n\`\`\`html\n${text}\n\`\`\``);
    const more = await open(`#/threads/${await thread(...all.map((text) => says('ASSISTANT', text)))}`);
    const blocks: string[] = [];
    await everyArticle(more, blocks);
    for (const text of TEXTS) expect(blocks.some((block) => flat(block).includes(flat(text))), text).toBe(true);
    await expectOnlyText(more, []);
  });

  /** Reads all articles of a conversation, from its end to its beginning. */
  async function everyArticle(page: Window, seen: string[]): Promise<void> {
    const log = page.getByRole('log', { name: 'Conversation' });
    await page.getByRole('article').first().waitFor();
    for (let top = false; !top; ) {
      for (const text of await page.getByRole('article').allTextContents()) if (!seen.includes(text.trim())) seen.push(text.trim());
      top = await log.evaluate((element) => {
        const before = element.scrollTop;
        element.scrollTop -= element.clientHeight / 2;
        return before <= 0;
      });
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    }
  }

  test('in titles, file names and the words of an assistant is a text', async () => {
    for (const title of TEXTS) await skein.query(CreateThreadDocument, { input: { title } });
    const page = await open('#/new');
    await page.getByRole('link', { name: TEXTS.at(-1)!, exact: true }).waitFor();
    while (await page.getByRole('button', { name: 'Older conversations' }).isVisible()) {
      await page.getByRole('button', { name: 'Older conversations' }).click();
      await page.getByRole('button', { name: 'Loading…' }).waitFor({ state: 'detached' });
    }
    await expectOnlyText(page, TEXTS);
    await page.getByRole('link', { name: TEXTS[0], exact: true }).click();
    await page.getByRole('heading', { level: 1, name: TEXTS[0] }).waitFor();
    await expectOnlyText(page, TEXTS);

    for (const text of TEXTS) await upload(`${text}.txt`, 'a file');
    // Of what looks like a path, the server keeps the end.
    const { files } = await skein.query(FilesDocument, { first: 100 });
    const names = files.nodes.map(({ filename }) => filename);
    expect(names).toHaveLength(TEXTS.length);
    await page.goto(`${skein.url}/#/files`);
    await page.getByRole('heading', { level: 1, name: 'Files' }).waitFor();
    await page.getByText(names[0]!, { exact: true }).first().waitFor();
    for (const older = page.getByRole('button', { name: /^Older/ }).last(); await older.isVisible(); ) {
      await older.click();
      await page.waitForFunction(() => !document.body.textContent.includes('Loading…'));
    }
    await expectOnlyText(page, names);

    await page.goto(`${skein.url}/#/assistants/${assistantId}`);
    await page.getByRole('textbox', { name: 'Instructions' }).waitFor();
    await expectOnlyText(page, TEXTS);
  });

  test('in function calls, their outputs, and what code prints is a text', async () => {
    const threadId = await thread();
    const runId = await run(threadId, `Please get weather in ${TEXTS[1]}`);
    const page = await open(`#/threads/${threadId}`);
    const form = page.getByRole('form', { name: 'Answer function calls' });
    await form.waitFor();
    await expectOnlyText(page, TEXTS.slice(1, 4));
    const node = (await skein.query(ConversationDocument, { threadId })).thread!.activeRun!;
    const toolOutputs = node.requiredAction!.toolCalls.map(({ id }) => ({ toolCallId: id, output: TEXTS.join('\n') }));
    await skein.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } });
    await settled(page);
    await page.getByRole('button', { name: /^get_weather/ }).click();
    await page.getByRole('region', { name: 'Output' }).waitFor();
    await expectOnlyText(page, TEXTS);
    await page.getByRole('button', { name: 'Open the inspector' }).click();
    await page.getByRole('list', { name: 'Steps' }).waitFor();
    await expectOnlyText(page, TEXTS);

    const code = `for line in ${JSON.stringify(TEXTS)}:\n    print(line)`;
    const printing = await thread();
    await run(printing, `\`\`\`python\n${code}\n\`\`\``);
    const logs = await open(`#/threads/${printing}`);
    await settled(logs);
    await expectOnlyText(logs, TEXTS);
  });

  test('in a file that is cited is a text, in the answer and in the source', async () => {
    const each = Math.ceil(TEXTS.length / ANIMALS.length);
    const cited = ANIMALS.map((animal, at) => ({ animal, texts: TEXTS.slice(at * each, (at + 1) * each) }));
    const sentences = cited.map(({ animal, texts }) => `The ${animal} has written ${texts.join(' , ')} , and no more.`);
    const fileId = await upload('animals.txt', sentences.join('\n\n'));
    // An answer of the offline model quotes three sentences.
    for (let at = 0; at < cited.length; at += 3) {
      const three = cited.slice(at, at + 3);
      const threadId = await thread();
      const question = `The ${three.map(({ animal }) => animal).join(', ')}: what is written?`;
      await run(threadId, question, { attachments: [{ fileId, tools: ['FILE_SEARCH'] }] });
      const page = await open(`#/threads/${threadId}`);
      await settled(page);
      await page.getByRole('button', { name: /^Searched/ }).click();
      for (const { animal, texts } of three) {
        await page.getByRole('button', { name: new RegExp(`^Source \\d+: The ${animal} `) }).click();
        await page.locator('mark').filter({ hasText: animal }).waitFor();
        const quote = await page.locator('mark').innerText();
        for (const text of texts) expect(flat(quote)).toContain(flat(text));
        await expectOnlyText(page, texts);
      }
    }
  });

  test('would be found out if it did anything', async () => {
    const page = await open('#/new');
    const handler = page.evaluate(() => document.body.setAttribute('onclick', 'window.__xss = 1'));
    await expect(handler).rejects.toThrow('TrustedScript');
    await page.evaluate((to) => {
      const picture = document.createElement('img');
      picture.src = to;
      document.querySelector('main')!.append(picture, document.createElement('iframe'));
      open('about:blank');
    }, 'http://localhost:9/pixel.png');
    const words = ['TrustedScript', 'asked for http://localhost:9/', 'against the policy: img-src', 'opened another window'];
    for (const word of words) await eventually(() => expect(page.faults.join('\n')).toContain(word));
    const actual = { elements: ['<iframe></iframe>'], pictures: ['http://localhost:9/pixel.png'] };
    await expect(expectOnlyText(page, [])).rejects.toMatchObject({ actual });
    page.faults.length = 0;
  });
});
