import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pino } from 'pino';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_CHUNKING } from '../../src/vector-stores/chunk.ts';
import { createExtractor, type Extractor, type ExtractorOptions } from '../../src/vector-stores/extract.ts';
import { askPs, residentMemory } from '../../src/vector-stores/extraction/child-memory.ts';
import { eventually } from '../eventually.ts';

const logger = pino({ level: 'silent' });
const folder = mkdtempSync(join(tmpdir(), 'skein-reader-'));
const words = join(folder, 'words.txt');
writeFileSync(words, 'A few words.');
/** Words that occur once: nothing is known of them, so that chunking takes long. */
const slow = join(folder, 'slow.txt');
writeFileSync(
  slow,
  Array.from({ length: 1_500_000 }, (_, at) => (at * 2_654_435_761).toString(36))
    .join(' ')
    .slice(0, 9e6),
);
const chunking = DEFAULT_CHUNKING;
const file = (path: string) => ({ path, filename: 'a.txt', contentType: null, chunking });

let extractor: Extractor | undefined;
const start = (options: Partial<ExtractorOptions> = {}): Extractor =>
  (extractor = createExtractor({ logger, ...options }));
afterEach(async () => {
  await extractor?.close();
  expect(children()).toEqual([]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Readers that this process, or another, has started. */
function children(parent = process.pid): number[] {
  const found = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' });
  return found.split('\n').flatMap((line) => {
    const [pid, ppid, ...args] = line.trim().split(/\s+/);
    return Number(ppid) === parent && args.join(' ').includes('extraction/child.ts') ? [Number(pid)] : [];
  });
}

const until = (condition: () => unknown): Promise<void> =>
  eventually(() => expect(condition()).toBeTruthy());

describe('a reading process', () => {
  test('is used for one file after the other', async () => {
    const { extract } = start();
    await extract(file(words));
    const [first, ...more] = children();
    await extract(file(words));
    expect(children()).toEqual([first]);
    expect(more).toEqual([]);
  });

  test('ends when it has had nothing to do for a while', async () => {
    await start({ idleMs: 50 }).extract(file(words));
    await until(() => children().length === 0);
  });

  test('knows nothing of the environment and has none of our rights', async () => {
    vi.stubEnv('SKEIN_TEST_SECRET', 'do-not-tell');
    await start().extract(file(words));
    vi.unstubAllEnvs();
    const [pid] = children();
    const asked = execFileSync('ps', ['eww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    expect(asked).not.toContain('do-not-tell');
    expect(asked).toContain('--permission');
    if (process.platform !== 'linux') return;
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('SKEIN_TEST_SECRET');
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max file size\s+0\s/);
    expect(limits).toMatch(/Max core file size\s+0\s/);
    expect(limits).toMatch(/Max data size\s+\d/);
    expect(limits).toMatch(/Max cpu time\s+\d/);
  });

  test('is killed when its time is over, and the next file gets a new one', async () => {
    const { extract } = start({ timeoutMs: 4000 });
    expect(await extract(file(slow))).toEqual({
      ...{ ok: false, code: 'timeout' },
      message: 'Reading this file takes longer than 4 seconds. Split it into smaller files.',
    });
    expect(children()).toEqual([]);
    expect(await extract(file(words))).toMatchObject({ ok: true, text: 'A few words.' });
  });

  test('is killed by whoever no longer wants its file, and that is no error of the file', async () => {
    const { extract } = start();
    const abort = new AbortController();
    const running = extract(file(slow), abort.signal);
    await until(() => children().length === 1);
    abort.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect(children()).toEqual([]);
    await expect(extract(file(words), abort.signal)).rejects.toThrow('enough');
  });

  test('that is killed from outside is reported and replaced', async () => {
    const { extract } = start();
    const running = extract(file(slow));
    await until(() => children().length === 1);
    process.kill(children()[0] as number, 'SIGKILL');
    expect(await running).toMatchObject({ ok: false, code: 'server_error' });
    expect(await extract(file(words))).toMatchObject({ ok: true });
  });

  test('that dies on its second file is not the last word: a new one reads it again', async () => {
    const { extract } = start();
    await extract(file(words));
    const [first] = children();
    const running = extract({ ...file(slow), chunking: undefined });
    process.kill(first as number, 'SIGKILL');
    expect(await running).toMatchObject({ ok: true });
    expect(children()).not.toContain(first);
  });

  test('ends with us, even if we are killed', async () => {
    const script = `
      import { createExtractor } from ${JSON.stringify(join(import.meta.dirname, '../../src/vector-stores/extract.ts'))};
      const { extract } = createExtractor({ logger: console });
      await extract({ path: ${JSON.stringify(words)}, filename: 'a.txt', contentType: null });
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    await until(() => children(parent.pid).length === 1);
    const [reader] = children(parent.pid);
    parent.kill('SIGKILL');
    await until(() => !isAlive(reader as number));
  });

  test('holds as much memory as the system says', async () => {
    const own = process.memoryUsage.rss();
    for (const ask of [residentMemory, askPs]) {
      const told = (await ask(process.pid)) ?? 0;
      expect(told).toBeGreaterThan(own * 0.7);
      expect(told).toBeLessThan(own * 1.5);
      expect(await ask(2 ** 22 - 1)).toBeNull();
    }
  });
});

describe('the extractor', () => {
  test('reads as many files at a time as it may', async () => {
    const { extract } = start({ concurrency: 2 });
    const abort = new AbortController();
    const running = Array.from({ length: 5 }, () => extract(file(slow), abort.signal));
    const outcomes = Promise.allSettled(running);
    await until(() => children().length === 2);
    abort.abort();
    expect((await outcomes).map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
    expect(await extract(file(words))).toMatchObject({ ok: true });
  });

  test('serves those who wait in turn, and all of them', async () => {
    const { extract } = start({ concurrency: 2 });
    const order: number[] = [];
    const all = Array.from({ length: 20 }, async (_, at) => {
      expect(await extract(file(words))).toMatchObject({ ok: true });
      order.push(at);
    });
    await Promise.all(all);
    expect(order[0]).toBeLessThan(2);
    expect(new Set(order).size).toBe(20);
  });

  test('closes in the middle of its work and leaves nothing behind', async () => {
    const { extract, close } = start();
    const stream = Readable.from([readFileSync(slow)]);
    const running = extract({ stream, filename: 'a.txt', contentType: null, chunking });
    const waiting = extract(file(words));
    const outcomes = Promise.allSettled([running, waiting]);
    await until(() => children().length === 1);
    await close();
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } });
    expect(stream.destroyed).toBe(true);
    await expect(extract(file(words))).rejects.toThrow('closed');
  });

  test('removes what it has put on disk, also when a stream breaks', async () => {
    const own = mkdtempSync(join(folder, 'tmp-'));
    vi.stubEnv('TMPDIR', own);
    const { extract } = start();
    const streamed = { filename: 'a.txt', contentType: null };
    expect(await extract({ ...streamed, stream: Readable.from(['some ', 'words']) })).toMatchObject({
      text: 'some words',
    });
    const broken = Readable.from(
      (function* () {
        yield 'some';
        throw new Error('connection lost');
      })(),
    );
    await expect(extract({ ...streamed, stream: broken })).rejects.toThrow('connection lost');
    vi.unstubAllEnvs();
    expect(readdirSync(own)).toEqual([]);
    expect(existsSync(own)).toBe(true);
  });

  test('tells of a file that is not there', async () => {
    await expect(start().extract(file(join(folder, 'nowhere')))).rejects.toThrow('ENOENT');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
