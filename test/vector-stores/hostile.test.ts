import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEFAULT_CHUNKING } from '../../src/vector-stores/chunk.ts';
import { createExtractor, type Extractor } from '../../src/vector-stores/extract.ts';
import { HOSTILE } from './hostile-files.ts';

const MEMORY = 768;
/** Megabytes beyond the limit: what the program maps from files, and what it takes between two looks. */
const SLACK = 192;
const MB = 2 ** 20;

describe('a hostile file', () => {
  let extractor: Extractor;
  let folder: string;
  let before = 0;
  let parentPeak = 0;
  const report: string[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'skein-hostile-'));
    execFileSync(process.execPath, [join(import.meta.dirname, 'write-hostile-files.ts'), folder]);
    before = process.memoryUsage.rss();
    extractor = createExtractor({ logger: pino({ level: 'silent' }), memoryMb: MEMORY, timeoutMs: 60_000 });
  }, 180_000);

  afterAll(async () => {
    const peak = Math.round(extractor.peakMemory / MB);
    await extractor.close();
    rmSync(folder, { recursive: true });
    console.log(
      `${report.join('\n')}\n${HOSTILE.length} hostile files: peak memory of a reader ${peak} MB (limit ${MEMORY} MB), ` +
        `growth of this process ${Math.round(parentPeak / MB)} MB`,
    );
  });

  test.each(HOSTILE.map((file, at) => [file.name, file.what, file, at] as const))(
    '%s: %s',
    { timeout: 90_000 },
    async (_name, _what, { name, what, refused, read }, at) => {
      const path = join(folder, String(at));
      const look = (): void => void (parentPeak = Math.max(parentPeak, process.memoryUsage.rss() - before));
      const looking = setInterval(look, 5);
      const started = performance.now();
      const result = await extractor
        .extract({ path, filename: name, contentType: null, chunking: DEFAULT_CHUNKING })
        .finally(() => clearInterval(looking));
      look();
      const took = Math.round(performance.now() - started);
      const said = result.ok ? `read, ${result.text.length} characters` : `${result.code}: ${result.message}`;
      report.push(`${name.padEnd(18)} ${what.padEnd(44)} ${String(took).padStart(6)} ms  ${said}`);

      if (refused)
        expect(result).toMatchObject({ ok: false, code: refused[0], message: expect.stringMatching(refused[1]) });
      else {
        if (!result.ok) expect.unreachable(said);
        expect(result.text).toMatch(read as RegExp);
        expect(result.text).not.toContain('root:'); // of /etc/passwd
        for (const { startIndex, endIndex, text, indexText } of result.chunks) {
          if (text !== result.text.slice(startIndex, endIndex)) expect.unreachable('a chunk quotes other words');
          expect(indexText.length).toBeLessThan(text.length + 2000);
        }
      }
      expect(extractor.peakMemory).toBeLessThan((MEMORY + SLACK) * MB);
      // The main process has the text in UTF-8 and in UTF-16 while it decodes it, and nothing of the file.
      expect(parentPeak).toBeLessThan(256 * MB);
    },
  );
});
