import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase, type TestDatabase } from '../database.ts';
import { type SkeinProcess, startProcess } from '../server/skein-process.ts';
import { answers, composer, inChromium, settled } from './browser.ts';

/** Bytes of gzip. */
const MOST_OF_FIRST_PAINT = 250_000;
const COUNTED =
  "I am Skein's offline model, not a language model. " +
  Array.from({ length: 80 }, (_, i) => i + 1).join(' ');

inChromium('a newcomer', (windows) => {
  let database: TestDatabase;
  let skein: SkeinProcess;
  let link: string;

  beforeAll(async () => {
    database = await testDatabase();
    skein = await startProcess(database);
    link = /^The playground.*: (\S+)$/m.exec(skein.output())![1]!;
  });
  afterAll(async () => {
    skein?.kill();
    await skein?.ended;
    await database?.dispose();
  });

  test('comes by the printed link, makes an assistant, and sees an answer stream in', async () => {
    const page = await windows.open({ url: link });
    const form = page.getByRole('form', { name: 'Create your first assistant' });
    await form.waitFor();
    // The key is nowhere to be seen any more, and a reload finds it again.
    expect(page.url()).not.toContain('key');
    await page.reload();
    await form.getByRole('button', { name: 'Create the assistant' }).click();
    await composer(page).fill('count to 80');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    const lengths = await page.evaluate(
      (end) =>
        new Promise<number[]>((resolve) => {
          const seen: number[] = [];
          const look = () => {
            const text = [...document.querySelectorAll('[aria-label="Assistant"]')].at(-1)?.textContent ?? '';
            if (text.length !== seen.at(-1)) seen.push(text.length);
            if (text.trim() === end) resolve(seen);
            else requestAnimationFrame(look);
          };
          look();
        }),
      COUNTED,
    );
    // It came in pieces, and none was taken back.
    expect(lengths.length).toBeGreaterThan(8);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    await settled(page);
    await page.getByRole('navigation', { name: 'Conversations' }).getByRole('link', { name: 'count to 80' }).waitFor();
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();
  });

  test('does the same with the keyboard alone', async () => {
    const page = await windows.open({ url: new URL(link).origin });
    // Without the link there is a form for the key, which has the focus.
    await page.getByLabel('API key').waitFor();
    await page.keyboard.type(decodeURIComponent(new URL(link).hash.slice('#key='.length)));
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'New conversation' }).waitFor();

    // From the top of the page: what can be reached, in what order.
    const reached: string[] = [];
    const tabTo = async (name: RegExp): Promise<void> => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate(() => {
          const { activeElement: element } = document;
          const label = element?.getAttribute('aria-label') ?? element?.textContent ?? '';
          const style = element && getComputedStyle(element);
          // A field shows it by its caret.
          const shows = style ? style.outlineStyle !== 'none' || style.boxShadow !== 'none' || element.matches('textarea') : false;
          return { name: label.trim(), shows };
        });
        reached.push(focused.name);
        if (!name.test(focused.name)) continue;
        expect(focused.shows, `${focused.name} shows that it has the focus`).toBe(true);
        return;
      }
      expect.fail(`${String(name)} cannot be reached; what can: ${reached.join(', ')}`);
    };
    await tabTo(/^Skip to the conversation$/);
    await page.keyboard.press('Enter');
    await tabTo(/^Message$/);
    await page.keyboard.type('count to 80');
    await page.keyboard.press('Enter');
    await answers(page).getByText(COUNTED).waitFor();
    await settled(page);
    // Where one writes on is where one has written.
    expect(await composer(page).evaluate((element) => element === document.activeElement)).toBe(true);
    await page.keyboard.type('say: done');
    await page.keyboard.press('Enter');
    await answers(page).getByText('done', { exact: false }).last().waitFor();

    await tabTo(/^Open the inspector$/);
    await page.keyboard.press('Enter');
    await page.getByRole('complementary', { name: 'Inspector' }).waitFor();
  });

  test(`loads less than ${MOST_OF_FIRST_PAINT / 1000} kB gzip before the first paint`, async () => {
    const page = await windows.open({ url: new URL(link).origin });
    await page.getByLabel('API key').waitFor();
    const loaded = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .concat(performance.getEntriesByType('navigation'))
        .map((entry) => ({ name: entry.name, bytes: (entry as PerformanceResourceTiming).encodedBodySize })),
    );
    // With the key it loads what talks to the server, and the first view.
    const inside = await windows.open({ url: link });
    await inside.getByRole('heading', { level: 1 }).waitFor();
    await inside.waitForLoadState('networkidle');
    const assets = await inside.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .concat(performance.getEntriesByType('navigation'))
        .filter(({ name }) => !name.endsWith('/graphql'))
        .map((entry) => ({ name: entry.name, bytes: (entry as PerformanceResourceTiming).encodedBodySize })),
    );
    const sum = (entries: { bytes: number }[]) => entries.reduce((total, { bytes }) => total + bytes, 0);
    console.log(
      `gzip: first paint ${sum(loaded)} bytes in ${loaded.length} files, first view ${sum(assets)} bytes in ${assets.length} files`,
    );
    expect(assets.length).toBeGreaterThan(2);
    for (const { name, bytes } of assets) expect(bytes, name).toBeGreaterThan(0);
    expect(sum(assets)).toBeLessThan(MOST_OF_FIRST_PAINT);
  });
});
