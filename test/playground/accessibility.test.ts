import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateAssistantDocument, CreateThreadDocument, CreateVectorStoreDocument } from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { barriers, expectNoBarriers } from './axe.ts';
import { answers, composer, dropFiles, inChromium, say, settled, type Window } from './browser.ts';

const FUNCTION = {
  name: 'get_weather',
  description: 'The weather now',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const MARKDOWN = `say # A heading

A [link](https://example.org/), \`code\`, **bold**, and a list:

1. one
2. two

| a | b |
|---|---|
| 1 | 2 |

> A quote

\`\`\`js
const answer = 42; // with a comment
\`\`\`
`;

inChromium('axe finds nothing serious', (windows) => {
  let skein: TestSkein;
  let assistantId: string;
  let storeId: string;

  beforeAll(async () => {
    skein = await startSkein();
  });
  afterAll(() => skein?.close());

  /** Everything that is looked at, and what is done to see it. */
  const VIEWS: readonly (readonly [name: string, see: (page: Window) => Promise<unknown>])[] = [
    [
      'a conversation with Markdown, and its run in the inspector',
      async (page) => {
        await say(page, MARKDOWN);
        await settled(page);
        await answers(page).getByRole('table').waitFor();
        await answers(page).locator('.hljs-keyword').waitFor();
        await page.getByRole('button', { name: 'Open the inspector' }).click();
        await page.getByRole('list', { name: 'Steps' }).waitFor();
      },
    ],
    [
      'the operations behind the page',
      async (page) => {
        await page.setViewportSize({ width: 1280, height: 800 });
        await say(page, 'say hello');
        await page.getByRole('button', { name: 'Open the inspector' }).click();
        await page.getByRole('tab', { name: /GraphQL|Operations/ }).click();
      },
    ],
    [
      'function calls to be answered',
      async (page) => {
        await say(page, 'Please get weather in Oslo');
        await page.getByRole('form', { name: 'Answer function calls' }).waitFor();
      },
    ],
    [
      'a cancelled run',
      async (page) => {
        await say(page, 'Please get weather in Oslo');
        await page.getByRole('button', { name: 'Cancel the run' }).click();
        await page.getByRole('button', { name: 'Try again' }).waitFor();
      },
    ],
    [
      'an answer with sources, and one of them opened',
      async (page) => {
        await composer(page).waitFor();
        await dropFiles(page, { 'lakes.md': 'Lake Baikal is about twenty-five million years old. It is deep.' });
        await page.getByRole('list', { name: 'Files to send' }).getByText('stored').waitFor();
        await expectNoBarriers(page);
        await say(page, 'How many million years old is Lake Baikal?');
        await settled(page);
        await page.getByRole('button', { name: /^Searched/ }).click();
        await page.getByRole('button', { name: /^Source 1/ }).first().click();
        await page.locator('mark').first().waitFor();
      },
    ],
    ['an assistant', (page) => page.goto(`${skein.url}/#/assistants/${assistantId}`).then(() => page.getByRole('form', { name: 'Helper' }).waitFor())],
    ['the files', (page) => page.goto(`${skein.url}/#/files`).then(() => page.getByRole('heading', { level: 1, name: 'Files' }).waitFor())],
    ['a vector store', (page) => page.goto(`${skein.url}/#/vector-stores/${storeId}`).then(() => page.getByRole('heading', { name: 'Lakes' }).first().waitFor())],
    [
      'the list of conversations on a phone, and what can be done with one',
      async (page) => {
        await page.setViewportSize({ width: 390, height: 800 });
        await page.getByRole('button', { name: 'Open the list of conversations' }).click();
        await page.getByRole('link', { name: 'A thread' }).first().waitFor();
        await page.getByRole('button', { name: 'More for A thread' }).first().click();
        await page.getByRole('menuitem', { name: 'Rename' }).waitFor();
      },
    ],
  ];

  test('of the form for a key, and of the first page', async () => {
    for (const dark of [false, true]) {
      const page = await windows.open({ url: skein.url, dark });
      await page.getByLabel('API key').waitFor();
      await expectNoBarriers(page);
      await page.getByLabel('API key').fill(skein.key);
      await page.keyboard.press('Enter');
      await page.getByRole('form', { name: 'Create your first assistant' }).waitFor();
      await expectNoBarriers(page);
      // It does find what there is.
      await page.evaluate(() => document.querySelector('main')!.append(document.createElement('img')));
      expect(await barriers(page)).toEqual([expect.stringContaining('image-alt: <img>')]);
    }
    const tools = [{ fileSearch: {} }, { function: FUNCTION }];
    const { createAssistant } = await skein.query(CreateAssistantDocument, { input: { name: 'Helper', model: 'offline', tools } });
    assistantId = createAssistant.assistant!.id;
    const { createVectorStore } = await skein.query(CreateVectorStoreDocument, { input: { name: 'Lakes' } });
    storeId = createVectorStore.vectorStore!.id;
    await skein.query(CreateThreadDocument, { input: { title: 'A thread' } });
  });

  const LOOKS = [1280, 390].flatMap((width) => (['light', 'dark'] as const).map((colorScheme) => ({ width, colorScheme })));

  test.for(VIEWS)('of %s, wide and narrow, light and dark', async ([_name, see]) => {
    const page = await windows.open({ url: skein.url, key: skein.key });
    await see(page);
    for (const { width, colorScheme } of LOOKS) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor();
      await expectNoBarriers(page, `${width} pixels wide, ${colorScheme}`);
    }
  });
});
