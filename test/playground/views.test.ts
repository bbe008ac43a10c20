import type { Locator } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { expectNoBarriers } from './axe.ts';
import { dropFiles, inChromium } from './browser.ts';

/** What is read out with a control. */
const described = (control: Locator): Promise<string> =>
  control.evaluate((element) =>
    (element.getAttribute('aria-describedby') ?? '')
      .split(' ')
      .map((id) => document.getElementById(id)?.textContent ?? '')
      .join(' '),
  );

inChromium('the views of the playground', ({ open }) => {
  let skein: TestSkein;
  const openAt = (hash: string, width = 1280) => open({ url: skein.url, key: skein.key, hash, width, height: 844 });

  beforeAll(async () => {
    skein = await startSkein();
  });
  afterAll(() => skein?.close());

  test('an assistant is made, mended where the server says, kept from being lost, and deleted', { timeout: 120_000 }, async () => {
    const page = await openAt('#/assistants');
    await page.getByRole('button', { name: 'New assistant' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Travel desk');
    await page.getByLabel('Temperature').fill('9');
    await page.getByRole('button', { name: 'Add a function' }).click();
    await page.getByRole('button', { name: 'Begin with an example' }).click();
    const schema = page.getByLabel('JSON Schema of its arguments');
    const example = await schema.inputValue();
    await schema.fill('{\n  "type": oops\n}');
    await page.getByRole('button', { name: 'Create' }).click();
    await expect.poll(() => described(schema)).toContain('Line 2, column 11: expected a value');
    await expect.poll(() => schema.evaluate((element) => element === document.activeElement)).toBe(true);

    await schema.fill(example);
    await page.getByRole('button', { name: 'Create' }).click();
    const temperature = page.getByLabel('Temperature');
    await expect.poll(() => described(temperature)).toContain('The temperature must be 0 to 2.');
    expect(await page.getByRole('alert').textContent()).toContain('The temperature must be 0 to 2.');
    expect(await temperature.getAttribute('aria-invalid')).toBe('true');
    await expectNoBarriers(page);

    // This server has no sandbox, and says so where one would be asked for.
    const code = page.getByRole('switch', { name: 'Code interpreter' });
    expect([await code.getAttribute('aria-disabled'), await described(code)]).toEqual(['true', expect.stringContaining('Not available on this server')]);

    await temperature.fill('0.5');
    for (const leave of [() => page.getByRole('link', { name: 'Files' }).click(), () => page.goBack()]) {
      await leave();
      await page.getByRole('button', { name: 'Stay' }).click();
      await page.getByRole('alertdialog').waitFor({ state: 'hidden' });
      expect(new URL(page.url()).hash).toBe('#/assistants/new');
    }
    expect(await temperature.inputValue()).toBe('0.5');

    await temperature.press('Control+s');
    await page.getByText('Created.').waitFor();
    const { assistants } = await skein.query<{ assistants: { nodes: unknown[] } }, object>(
      '{ assistants { nodes { name temperature tools { ... on FunctionTool { name parameters } } } } }',
    );
    expect(assistants.nodes).toEqual([
      { name: 'Travel desk', temperature: 0.5, tools: [{ name: 'get_weather', parameters: JSON.parse(example) as unknown }] },
    ]);

    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Delete it' }).click();
    await page.getByText('There is none yet.').waitFor();
    await expect.poll(() => page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('All assistants');
  });

  test('files are dropped, refused with the reason, shown and deleted', { timeout: 120_000 }, async () => {
    // What is refused is refused by HTTP, which a browser's console repeats.
    const page = await open({ url: skein.url, key: skein.key, hash: '#/files', forgive: /415/ });
    const view = page.locator('main section').first();
    const list = page.getByRole('list', { name: 'Files', exact: true });
    await list.getByText('There are no files yet').waitFor();
    const files = {
      'handbook.md': '# Trains\n\nTrains leave at nine.\n',
      '<img src=x onerror=alert(1)>.txt': 'Boats leave at noon.',
    };
    await dropFiles(page, files, view);
    await list.getByText('handbook.md').waitFor();
    await list.getByText('<img src=x onerror=alert(1)>.txt').waitFor();
    await page.getByLabel('Upload as').selectOption('VISION');
    await dropFiles(page, { 'no-image.png': 'words' }, view);
    await expect.poll(() => page.getByRole('alert').textContent()).toContain('PNG, JPEG, GIF or WebP');
    await page.getByRole('button', { name: 'Dismiss no-image.png' }).click();
    await expectNoBarriers(page);

    await page.getByRole('button', { name: /^Delete <img/ }).click();
    await page.getByRole('button', { name: 'Delete it' }).click();
    await expect.poll(() => list.getByRole('listitem').count()).toBe(1);
  });

  test('a store is filled and searched, and moves as its files are read in', { timeout: 180_000 }, async () => {
    const page = await openAt('#/vector-stores');
    await page.getByRole('button', { name: 'New store' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Handbook');
    await dialog.getByLabel('Expires after days without use').fill('900');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await expect.poll(() => described(dialog.getByLabel('Expires after days without use'))).toContain('must be 1 to 365');
    await dialog.getByLabel('Expires after days without use').fill('9');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'Handbook' }).waitFor();

    const files = page.getByRole('list', { name: 'In the store' });
    await page.getByRole('button', { name: 'Add existing files' }).click();
    await dialog.getByRole('checkbox', { name: /handbook\.md/ }).check();
    await dialog.getByRole('button', { name: 'Add 1 file' }).click();
    await files.getByText('handbook.md').waitFor();
    await dropFiles(page, { 'broken.pdf': '%PDF-1.4 nothing' }, page.locator('[data-detail] > section'));
    await page.getByText('1 file ready, 1 could not be read').waitFor({ timeout: 60_000 });
    await files.getByText('This PDF is damaged or incomplete.').waitFor();

    await page.getByLabel('What to look for').fill('when do trains leave');
    await page.keyboard.press('Enter');
    await page.getByText('1 passage found, best first.').waitFor();
    expect(await page.locator('blockquote').textContent()).toContain('Trains leave at nine.');

    await page.getByRole('button', { name: 'Attributes of handbook.md' }).click();
    await dialog.getByRole('button', { name: 'Add a pair' }).click();
    await dialog.getByLabel('Name 1').fill('year');
    await dialog.getByLabel('Kind of value 1').selectOption('number');
    await dialog.getByLabel('Value 1', { exact: true }).fill('2026');
    await expectNoBarriers(page);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('list', { name: 'Attributes of handbook.md' }).getByText('2026').waitFor();
    await expectNoBarriers(page);

    await page.getByRole('button', { name: 'Take out broken.pdf' }).click();
    await page.getByRole('button', { name: 'Take it out' }).click();
    await page.getByText('1 file ready', { exact: true }).waitFor();
    await expect.poll(() => files.getByText('broken.pdf').count()).toBe(0);
  });

  test('what a search found is shown whichever of two answers about a store comes last', async () => {
    const page = await openAt('#/vector-stores');
    await page.getByRole('link', { name: /Handbook/ }).click();
    await page.getByRole('heading', { name: 'Handbook' }).waitFor();
    const files = page.getByRole('list', { name: 'In the store' });
    await files.getByText('handbook.md').waitFor();

    const [asked, free] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await page.route('**/graphql', async (route) => {
      if (route.request().postData()?.includes('"operationName":"SearchVectorStore"')) {
        asked.resolve();
        await free.promise;
      }
      await route.continue();
    });
    await page.getByLabel('What to look for').fill('when do trains leave');
    await page.keyboard.press('Enter');
    await asked.promise;
    const moved = page.waitForResponse((response) => response.request().postData()?.includes('"operationName":"VectorStore"') === true);
    await dropFiles(page, { 'boats.md': 'Boats leave at noon.' }, page.locator('[data-detail] > section'));
    await moved;
    await files.getByText('boats.md').waitFor();
    free.resolve();
    await page.getByText('Trains leave at nine.').waitFor();
  });

  test('on a phone, a list and what is chosen from it are two screens', { timeout: 60_000 }, async () => {
    const page = await openAt('#/new', 390);
    await page.getByRole('button', { name: 'Open the list of conversations' }).click();
    await page.getByRole('link', { name: 'Vector stores' }).click();
    const store = page.getByRole('link', { name: /Handbook/ });
    await store.click();
    await page.getByRole('heading', { name: 'Handbook' }).waitFor();
    expect(await store.isVisible()).toBe(false);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
    await expectNoBarriers(page);
    await page.getByRole('link', { name: 'All stores' }).click();
    await store.waitFor();
  });
});
