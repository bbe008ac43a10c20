import type { Page } from 'playwright-core';

/** What a page showed of its last answer, one text after the other as they were drawn, through any number of reloads. */
export interface ShownText {
  readonly texts: readonly string[];
  /** Pieces of text that were there and then were not, or not as long. Empty: nothing was ever taken back. */
  readonly takenBack: readonly string[];
  until(condition: (text: string) => boolean): Promise<void>;
}

/** To be called before the page has come. */
export async function watchText(page: Page): Promise<ShownText> {
  const texts: string[] = [];
  const takenBack: string[] = [];
  const waiting = new Set<() => void>();
  await page.exposeFunction('__shown', (text: string) => {
    const before = texts.at(-1) ?? '';
    if (!text.startsWith(before)) takenBack.push(`${before} → ${text}`);
    texts.push(text);
    for (const look of waiting) look();
  });
  await page.addInitScript(() => {
    const { __shown } = globalThis as unknown as { __shown(text: string): void };
    let last: string | null = null;
    const look = () => {
      const article = [...document.querySelectorAll('[aria-label="Assistant"]')].at(-1);
      const text = article?.textContent?.trim() ?? null;
      // Where no answer is shown yet, none is taken back either.
      if (text !== null && text !== last) __shown((last = text));
      requestAnimationFrame(look);
    };
    look();
  });
  return {
    texts,
    takenBack,
    until: (condition) =>
      new Promise((resolve) => {
        const look = () => {
          if (!condition(texts.at(-1) ?? '')) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}
