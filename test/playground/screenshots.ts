// The pictures of the README, made anew: `node test/playground/screenshots.ts`. It takes Chromium, and a server of its own
// with the offline model and whatever sandbox the machine has.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { startSkein } from '../skein.ts';
import { CHROMIUM, CHROMIUM_ARGS } from './chromium.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'docs/screenshots');
const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

const PLOT = `import numpy as np
import matplotlib.pyplot as plt
x = np.linspace(0, 12, 300)
plt.figure(figsize=(6, 2.6))
plt.plot(x, np.sin(x), label="sin")
plt.plot(x, np.exp(-x / 5) * np.cos(2 * x), label="damped")
plt.legend()
plt.show()
print("drawn", len(x), "points")`;

const skein = await startSkein({ SANDBOX_DRIVER: 'auto' });
const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
mkdirSync(FOLDER, { recursive: true });

try {
  const assistantId = await makeAssistants();
  const page = await open(WIDE, 'light');
  await say(page, 'How is a run taken over when its worker is lost?', [join(ROOT, 'ARCHITECTURE.md')]);
  await page.getByRole('button', { name: /^Source/ }).first().click();
  await page.getByRole('region', { name: 'Text of the source' }).waitFor();
  await settled(page);
  await shot(page, 'source');
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await say(page, `Now draw something:\n\`\`\`python\n${PLOT}\n\`\`\``);
  await page.getByRole('img', { name: 'A picture that the code drew' }).waitFor();
  await settled(page);
  const thread = new URL(page.url()).hash;
  await page.getByRole('button', { name: 'Open the inspector' }).click();
  await page.getByRole('list', { name: 'Steps' }).waitFor();
  await shot(page, 'conversation');

  const dark = await open(WIDE, 'dark', thread);
  await dark.getByRole('img', { name: 'A picture that the code drew' }).waitFor();
  await shot(dark, 'conversation-dark');
  await dark.goto(`${skein.url}/#/new`);
  await say(dark, 'Please get weather in Oslo');
  await dark.getByRole('form', { name: 'Answer function calls' }).waitFor();
  await shot(dark, 'function-call-dark');

  await page.goto(`${skein.url}/#/assistants/${assistantId}`);
  await page.getByRole('heading', { name: 'Field notes' }).waitFor();
  await shot(page, 'assistant');
  await page.goto(`${skein.url}/#/vector-stores`);
  await page.getByRole('main').getByRole('link').first().click();
  await page.getByPlaceholder('Words, or a question').fill('how long is a lease');
  await page.keyboard.press('Enter');
  await page.getByRole('meter').first().waitFor();
  await shot(page, 'vector-store');

  const phone = await open(PHONE, 'light', thread);
  await phone.getByRole('article').first().waitFor();
  await shot(phone, 'phone');
} finally {
  await browser.close();
  await skein.close();
}

async function makeAssistants(): Promise<string> {
  const create = (input: object) =>
    skein.query<{ createAssistant: { assistant: { id: string } } }, { input: object }>(
      'mutation ($input: CreateAssistantInput!) { createAssistant(input: $input) { assistant { id } userErrors { message } } }',
      { input },
    );
  const parameters = {
    type: 'object',
    properties: {
      city: { type: 'string', description: 'Name of the city' },
      unit: { type: 'string', enum: ['celsius', 'fahrenheit'], description: 'Unit of the temperature' },
    },
    required: ['city'],
  };
  const { createAssistant } = await create({
    name: 'Field notes',
    description: 'Reads what you attach, computes, and asks for the weather.',
    model: 'offline',
    instructions: 'Answer from the attached files and cite them. Compute with Python rather than by heart.',
    temperature: 0.3,
    tools: [
      { fileSearch: {} },
      { codeInterpreter: {} },
      { function: { name: 'get_weather', description: 'The weather now', parameters } },
    ],
  });
  return createAssistant.assistant.id;
}

/** A page of its own, with the key. */
async function open(viewport: typeof WIDE, colorScheme: 'light' | 'dark', hash = '#/new'): Promise<Page> {
  const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 1.5 });
  const page = await context.newPage();
  await page.goto(`${skein.url}/#key=${encodeURIComponent(skein.key)}`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.goto(`${skein.url}/${hash}`);
  return page;
}

async function say(page: Page, text: string, files: string[] = []): Promise<void> {
  if (files.length > 0) {
    const given = files.map((path) => ({ name: path.split('/').at(-1)!, mimeType: 'text/markdown', buffer: readFileSync(path) }));
    await page.getByLabel('Files to attach').setInputFiles(given);
    await page.getByText('stored').first().waitFor();
  }
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

/** Nothing runs any more. */
async function settled(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Cancel the run' }).waitFor({ state: 'detached' });
}

async function shot(page: Page, name: string): Promise<void> {
  // Highlighted, drawn and scrolled: what comes by itself has come.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: join(FOLDER, `${name}.png`) });
  console.log(`${name}.png`);
}
