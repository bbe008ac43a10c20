import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM, CHROMIUM_ARGS, PATHS } from './chromium.ts';

export interface Windows {
  /** A window with a profile of its own. */
  open(options: WindowOptions): Promise<Window>;
}

export interface WindowOptions {
  /** Where the server is, or a link of it. */
  url: string;
  /** Other servers that the page may ask. */
  servers?: readonly string[];
  /** Enters with a key, in a link as the server prints it. */
  key?: string;
  /** The view to go to, `#/…`; that of a new conversation without it. */
  hash?: string;
  width?: number;
  height?: number;
  dark?: boolean;
  /** What may be complained of: a server that a test kills is missed. */
  forgive?: RegExp;
}

/** A page, and everything that went wrong in it. */
export interface Window extends Page {
  /** Errors, violations of the page's policy, dialogs, other windows, and requests to anywhere but its server. */
  readonly faults: string[];
}

/** Tests in a real browser: one for a whole file, and no window of it may have a fault. */
export function inChromium(name: string, body: (windows: Windows) => void): void {
  if (!CHROMIUM) {
    const why = `no Chromium at ${PATHS.join(', ')}: set CHROMIUM_PATH, or install one`;
    if (process.env.REQUIRE_CHROMIUM) test(name, () => expect.fail(why));
    else test.skip(`${name} (NOT TESTED: ${why})`, () => {});
    return;
  }
  describe(name, { timeout: 60_000 }, () => {
    let browser: Browser;
    const open: Window[] = [];
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGS });
    });
    afterEach(async () => {
      const faults = open.flatMap((window) => window.faults);
      await Promise.all(open.splice(0).map((window) => window.context().close()));
      expect(faults).toEqual([]);
    });
    afterAll(() => browser?.close());
    body({
      async open(options) {
        const window = await openWindow(browser, options);
        open.push(window);
        return window;
      },
    });
  });
}

async function openWindow(browser: Browser, options: WindowOptions): Promise<Window> {
  const { url, servers = [], key, hash, width = 1280, height = 800, dark = false, forgive } = options;
  const { origin } = new URL(url);
  const hosts = [url, ...servers].map((server) => new URL(server).host);
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    serviceWorkers: 'block',
  });
  const faults: string[] = [];
  const fault = (text: string) => {
    if (!forgive?.test(text)) faults.push(text);
  };
  context.on('request', (request) => {
    const to = new URL(request.url());
    if (!hosts.includes(to.host) && !/^(data|blob|about):$/.test(to.protocol)) fault(`asked for ${request.url()}`);
  });
  const page = await context.newPage();
  context.on('page', (other) => fault(`opened another window: ${other.url()}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') fault(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => fault(`threw: ${error.stack ?? error.message}`));
  page.on('dialog', (dialog) => {
    fault(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('websocket', (socket) => {
    if (!hosts.includes(new URL(socket.url()).host)) fault(`opened a socket to ${socket.url()}`);
  });
  await page.exposeFunction('__violated', (text: string) => fault(`against the policy: ${text}`));
  await page.addInitScript(() =>
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI, sample }) => {
      const { __violated } = globalThis as unknown as { __violated(text: string): void };
      __violated(`${violatedDirective} ${blockedURI} ${sample}`);
    }),
  );
  await page.goto(key === undefined ? url : `${origin}/#key=${encodeURIComponent(key)}`);
  if (key !== undefined) await page.getByRole('heading', { level: 1 }).waitFor();
  if (hash) await page.goto(`${origin}/${hash}`);
  return Object.assign(page, { faults });
}

export const composer = (page: Page) => page.getByRole('textbox', { name: 'Message' });
export const answers = (page: Page) => page.getByRole('article', { name: 'Assistant' });

export async function say(page: Page, text: string): Promise<void> {
  await composer(page).fill(text);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
}

/** Nothing runs any more, and something has been said. */
export async function settled(page: Page): Promise<void> {
  await answers(page).last().waitFor();
  await page.getByRole('button', { name: 'Cancel the run' }).waitFor({ state: 'detached' });
}

/** The id of the thread that is shown, once it is. */
export async function threadOf(page: Page): Promise<string> {
  await page.waitForURL(/#\/threads\//);
  return decodeURIComponent(new URL(page.url()).hash.split('/')[2]!);
}

const TYPES: Record<string, string> = { md: 'text/markdown', txt: 'text/plain', pdf: 'application/pdf', png: 'image/png' };

/** Drops files, by their names, on the conversation or on something else. */
export async function dropFiles(page: Page, files: Record<string, string>, on: Locator = composer(page)): Promise<void> {
  const given = Object.entries(files).map(([name, text]) => ({ name, text, type: TYPES[name.split('.').at(-1)!] ?? '' }));
  const dataTransfer = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, text, type } of all) transfer.items.add(new File([text], name, { type }));
    return transfer;
  }, given);
  for (const event of ['dragenter', 'dragover', 'drop']) await on.dispatchEvent(event, { dataTransfer });
}
