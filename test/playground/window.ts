import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

/** Whether this machine has a browser to look at pages with. */
export const hasBrowser = CHROMIUM !== undefined;

export interface Window {
  page: Page;
  /** Errors and warnings of the console, refusals of the page's policy among them. */
  said: string[];
  close(): Promise<void>;
}

/** A browser of its own, without what other ones have stored, at the playground. */
export async function openWindow(server: { url: string; key: string }, size = { width: 1280, height: 800 }): Promise<Window> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-window-'));
  const context: BrowserContext = await chromium.launchPersistentContext(folder, {
    executablePath: CHROMIUM,
    headless: true,
    viewport: size,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const said: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) said.push(message.text());
  });
  page.on('pageerror', (error) => said.push(String(error)));
  await page.goto(`${server.url}/#key=${server.key}`);
  return {
    page,
    said,
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
