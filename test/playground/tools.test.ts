import { afterAll, beforeAll, expect, test } from 'vitest';
import { CreateAssistantDocument, ViewerDocument } from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { answers, composer, dropFiles, inChromium, say, settled, type Window } from './browser.ts';

const WEATHER = {
  name: 'get_weather',
  description: 'The weather now',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', description: 'Name of the city' }, unit: { type: 'string', enum: ['C', 'F'] } },
    required: ['city', 'unit'],
  },
};

const NOTES = `# Lakes\n\n${'There are many lakes of which nothing is to be said. '.repeat(60)}

## The oldest

Lake Baikal is about twenty-five million years old.

${'There are more lakes of which nothing is to be said. '.repeat(60)}`;

/** A picture by hand, where nothing draws either: one red dot. */
const DOT = `import struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
with open("/mnt/data/dot.png", "wb") as png:
    png.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
              + chunk(b"IDAT", zlib.compress(b"\\x00\\xff\\x00\\x00")) + chunk(b"IEND", b""))`;
const PLOT = `import matplotlib.pyplot as plt
plt.figure(figsize=(3, 2))
plt.plot([1, 4, 9])
plt.show()`;

inChromium('tools on the page', (windows) => {
  let skein: TestSkein;
  let draws: boolean;

  beforeAll(async () => {
    skein = await startSkein({ SANDBOX_DRIVER: 'auto' });
    const tools = [{ fileSearch: {} }, { codeInterpreter: {} }, { function: WEATHER }];
    await skein.query(CreateAssistantDocument, { input: { name: 'With tools', model: 'offline', tools } });
    draws = (await skein.query(ViewerDocument, {})).viewer.sandbox.driver === 'bubblewrap';
  });
  afterAll(() => skein?.close());

  const open = (): Promise<Window> => windows.open({ url: skein.url, key: skein.key });
  const formOf = (page: Window) => page.getByRole('form', { name: 'Answer function calls' });

  test('a function call is answered in a form made of its schema', async () => {
    const page = await open();
    await say(page, 'Please get weather in Oslo');
    const form = formOf(page);
    // The arguments stand there as they came until the schema of the function is read.
    await form.getByRole('term').first().waitFor();
    const terms = await form.getByRole('term').allInnerTexts();
    expect(terms.map((term) => term.split(/\s/)[0])).toEqual(['city', 'unit']);
    expect(await form.getByRole('definition').first().innerText()).toMatch(/Oslo[\s\S]*Name of the city/);
    await form.getByLabel('Output of get_weather').fill('{"degrees": -4}');
    await form.getByRole('button', { name: 'Submit the output' }).click();
    await answers(page).getByText('get_weather answered: "{"degrees": -4}".').waitFor();
    await settled(page);
    expect(await form.count()).toBe(0);
    // What was called, with what, and what came of it, is still to be seen.
    await page.getByRole('button', { name: /^get_weather/ }).click();
    await page.getByRole('region', { name: 'Output' }).getByText('-4').waitFor();
  });

  test('a run that waits can be cancelled and tried again, and a kept answer is given by itself', async () => {
    const page = await open();
    await say(page, 'Please get weather in Rome');
    await formOf(page).waitFor();
    await page.getByRole('button', { name: 'Cancel the run' }).click();
    await page.getByRole('button', { name: 'Try again' }).click();
    await formOf(page).waitFor();
    await formOf(page).getByLabel('Output of get_weather').fill('sunny');
    await formOf(page).getByRole('checkbox', { name: 'Answer every call of get_weather' }).check();
    await formOf(page).getByRole('button', { name: 'Submit the output' }).click();
    await answers(page).getByText('get_weather answered: "sunny".').waitFor();
    await settled(page);

    const forms = page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let seen = 0;
          const observer = new MutationObserver(() => {
            if (document.querySelector('form[aria-label="Answer function calls"]')) seen += 1;
            const said = [...document.querySelectorAll('[aria-label="Assistant"]')].filter(({ textContent }) => textContent.includes('"sunny"'));
            if (said.length < 2) return;
            observer.disconnect();
            resolve(seen);
          });
          observer.observe(document, { childList: true, subtree: true, characterData: true });
        }),
    );
    await say(page, 'Please get weather in Lima');
    expect(await forms).toBe(0);
    await settled(page);
    expect(await answers(page).count()).toBe(2);
  });

  test('a file that is dropped is read in and searched, and a citation opens it at the quote', async () => {
    const page = await open();
    await composer(page).waitFor();
    await dropFiles(page, { 'lakes.md': NOTES });
    await page.getByRole('list', { name: 'Files to send' }).getByText('lakes.md').waitFor();
    await page.getByRole('list', { name: 'Files to send' }).getByText('stored').waitFor();
    await say(page, 'How many million years old is Lake Baikal?');
    await settled(page);
    await page.getByRole('button', { name: /^Searched/ }).click();
    await page.getByRole('meter', { name: 'Score of lakes.md' }).first().waitFor();
    await page.getByRole('article', { name: 'You' }).getByRole('link', { name: 'lakes.md' }).waitFor();

    await page.getByRole('button', { name: /^Source 1/ }).first().click();
    const source = page.getByRole('region', { name: 'Text of the source' });
    const quote = source.locator('mark');
    await quote.filter({ hasText: 'Lake Baikal is about twenty-five million years old.' }).waitFor();
    // It has been brought into sight, with what stands around it.
    await page.waitForFunction(() => {
      const mark = document.querySelector('mark')?.getBoundingClientRect();
      return mark && mark.top >= 0 && mark.bottom <= innerHeight;
    });
    expect((await source.innerText()).length).toBeGreaterThan((await quote.innerText()).length + 200);
    await page.getByRole('heading', { name: 'lakes.md' }).waitFor();
  });

  test('code is seen running: what it prints as it prints it, and what it draws', async () => {
    const page = await open();
    const code = 'import time\nprint("the first line")\ntime.sleep(4)\n';
    await say(page, `\`\`\`python\n${code}${DOT}\n${draws ? PLOT : ''}\nprint("the last line")\n\`\`\``);
    const logs = page.getByRole('log', { name: 'Output of the code' });
    await logs.getByText('the first line').waitFor();
    // It is there while the code still runs.
    expect(await logs.allInnerTexts().then((texts) => texts.join(''))).not.toContain('the last line');
    await page.getByRole('button', { name: 'Cancel the run' }).waitFor();
    await logs.getByText('the last line').waitFor();
    await settled(page);
    if (draws) {
      const picture = page.getByRole('img', { name: 'A picture that the code drew' }).first();
      await picture.waitFor();
      await page.waitForFunction(() => document.querySelector<HTMLImageElement>('img[alt^="A picture that"]')!.naturalWidth > 100);
    }
    // A file that it left is linked, under its name.
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      answers(page).getByRole('link', { name: 'dot.png' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('dot.png');
    // The steps of the run, in the inspector.
    await page.getByRole('button', { name: 'Open the inspector' }).click();
    await page.getByRole('list', { name: 'Steps' }).getByText('Code interpreter').first().waitFor();
  });
});
