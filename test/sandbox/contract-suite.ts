import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Driver, ExecutionEvent, Sandbox, Session } from '../../src/sandbox/sandbox.ts';
import { allGone, DEAFEN, inSession, newSince, openSandbox, PATIENT, processesOf, run } from './boxes.ts';

/** What every box does, whatever it is made of. */
export function contractSuite(driver: Driver): void {
  describe(`the ${driver} box`, PATIENT, () => {
    let sandbox: Sandbox;
    // Starts are dear on a busy machine: what leaves its session whole shares one.
    const together = async (work: (session: Session) => Promise<void>): Promise<void> => {
      const session = await sandbox.open({ key: 'together', project: 'together' });
      try {
        await work(session);
        expect(session.lost).toBeNull();
      } finally {
        session.release();
      }
    };
    beforeAll(async () => {
      sandbox = await openSandbox(driver, { box: { fileBytes: 8 * 1024 * 1024 }, call: { logBytes: 64 * 1024 } });
    });
    afterAll(() => sandbox.close());

    it('describes itself', () => {
      const { driver: name, reason, python, isolation } = sandbox.describe();
      expect(name).toBe(driver);
      expect(reason).toContain(driver);
      expect(python).toMatch(/^3\.\d+\.\d+/);
      expect(isolation.length).toBeGreaterThan(2);
    });

    it('keeps variables, functions and imports between calls', () =>
      together(async (session) => {
        await run(session, 'import math\nx = 20\ndef double(n):\n    return 2 * n');
        expect(await run(session, 'double(x) + math.floor(2.5)')).toBe('42\n');
        const [, second] = await Promise.all([run(session, 'x = 1'), run(session, 'x')]);
        expect(second).toBe('1\n');
      }));

    it('ends the logs with the value of a last expression, as a notebook does', () =>
      together(async (session) => {
        const result = await session.execute("print('said', end='')\n'värde'");
        expect(result).toMatchObject({ status: 'ok', logs: "said\n'värde'\n", value: "'värde'", error: null });
        for (const silent of ['None', 'y = 5', '5;', 'def f(): pass', '', '# nothing']) {
          expect((await session.execute(silent)).logs, silent).toBe('');
        }
        expect(await run(session, '_')).toBe("'värde'\n");
        const long = await session.execute("'x' * 100_000");
        expect(long.value!.length).toBeLessThan(20_100);
        expect(long.value).toContain('(100002 characters)');
        const broken = await session.execute('class Bad:\n    def __repr__(self): raise ValueError("no repr")\nBad()');
        expect(broken).toMatchObject({ status: 'error', error: { name: 'ValueError', message: 'no repr' } });
      }));

    it('shows the frames of the code and none of its own or of libraries', () =>
      together(async (session) => {
        const result = await session.execute(
          'import json\ndef read(text):\n    try:\n        return json.loads(text)\n    except ValueError as error:\n        raise KeyError("inner") from error\nread("{")',
        );
        expect(result).toMatchObject({ status: 'error', value: null, error: { name: 'KeyError', message: "'inner'" } });
        const { traceback } = result.error!;
        expect(result.logs).toBe(traceback);
        expect(traceback).toMatch(/File "<cell \d+>", line 7, in <module>\n +read\("\{"\)/);
        expect(traceback).toMatch(/File "<cell \d+>", line 4, in read/);
        expect(traceback).toContain('JSONDecodeError');
        expect(traceback).toContain('The above exception was the direct cause');
        expect(traceback).not.toMatch(/skein|decoder\.py|json\/__init__/);
        const syntax = await session.execute('x = = 1');
        expect(syntax.error).toMatchObject({ name: 'SyntaxError' });
        expect(syntax.logs).toContain('line 1');
        expect(syntax.logs).not.toContain('skein');
        const deep = await session.execute('def f(): f()\nf()');
        expect(deep.error!.name).toBe('RecursionError');
        expect(deep.logs.length).toBeLessThan(9000);
        expect((await session.execute('import sys\nsys.exit("reason")')).error).toMatchObject({ message: 'reason' });
        expect((await session.execute('exit()')).status).toBe('ok');
      }));

    it('passes on what is printed while it runs, in its order and whole', () =>
      together(async (session) => {
        const events: ExecutionEvent[] = [];
        let early: number | null = null;
        const result = await session.execute(
          `import sys, time
print('first')
time.sleep(0.6)
print('on stderr', file=sys.stderr)
for i in range(3000): print('ä→😀', end='')
print()
'last'`,
          {
            onEvent(event) {
              early ??= performance.now();
              events.push(event);
            },
          },
        );
        const end = performance.now();
        expect(end - early!).toBeGreaterThan(500);
        const text = events.map((event) => (event.type === 'logs' ? event.text : '')).join('');
        expect(text).toBe(`first\non stderr\n${'ä→😀'.repeat(3000)}\n'last'\n`);
        expect(result.logs).toBe(text);
        expect(result.usage.wallMs).toBeGreaterThan(500);
      }));

    it('keeps the beginning and the end of long logs, to the byte', () =>
      together(async (session) => {
        const events: string[] = [];
        const result = await session.execute("print('b' * 300_000 + 'e' * 100_000, end='')", {
          onEvent: (event) => event.type === 'logs' && events.push(event.text),
        });
        const half = 32 * 1024;
        expect(result.logsOmitted).toBe(400_000 - 2 * half);
        expect(result.logs).toBe(
          `${'b'.repeat(half)}\n[… ${400_000 - 2 * half} bytes are left out here …]\n${'e'.repeat(half)}`,
        );
        expect(events.join('')).toBe(result.logs);
        const cleaned = await run(
          session,
          "print('nul \\x00 byte'); import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.buffer.flush();",
        );
        expect(cleaned).toBe('nul \uFFFD byte\n\uFFFD\uFFFD\n');
      }));

    it('takes files in and hands out those that are new or changed', () =>
      inSession(sandbox, async (session) => {
        const bytes = new Uint8Array(700_000).map((_, index) => (index * 31) % 251);
        await session.put({ name: 'in put é.bin', content: [bytes.subarray(0, 400_001), bytes.subarray(400_001)] });
        await session.put({ name: 'empty', content: [] });
        const made = await session.execute(`import csv, os
with open('in put é.bin', 'rb') as f: data = f.read()
with open('/mnt/data/table.csv', 'w', newline='') as f: csv.writer(f).writerows([['a', 'b'], [1, len(data)]])
os.makedirs('sub/deep', exist_ok=True)
with open('sub/deep/back.bin', 'wb') as f: f.write(data[::-1])
os.symlink('/etc/passwd', 'link.txt')
os.symlink('table.csv', 'alias.csv')
os.mkdir('folder')
try:
    os.mkfifo('pipe')
except (OSError, AttributeError):
    pass
for name in (b'new\\nline', b'not-utf8-\\xff', b'bell\\x07'):
    try:
        open(os.path.join(b'/mnt/data', name), 'w').close()
    except OSError:
        pass
`);
        expect(made.logs).toBe('');
        // Pyodide's file system has no names but Unicode ones, and puts a mark for what is none.
        const told = made.files.filter(({ path }) => path !== 'not-utf8-\uFFFD');
        expect(new Set(told)).toEqual(
          new Set([
            { path: 'table.csv', size: 'a,b\r\n1,700000\r\n'.length },
            { path: 'sub/deep/back.bin', size: 700_000 },
          ]),
        );
        const table = await read(session.get({ path: 'table.csv', size: 'a,b\r\n1,700000\r\n'.length }));
        expect(table.toString()).toBe('a,b\r\n1,700000\r\n');
        const back = await read(session.get({ path: 'sub/deep/back.bin', size: 700_000 }));
        expect(Buffer.from(bytes).reverse().equals(back)).toBe(true);
        const there = (await session.list()).map(({ path }) => path);
        for (const path of ['empty', 'in put é.bin', 'sub/deep/back.bin', 'table.csv']) expect(there).toContain(path);
        for (const path of ['link.txt', 'alias.csv', 'folder', 'pipe']) expect(there).not.toContain(path);
        expect(there.filter((path) => /\p{Cc}/u.test(path))).toEqual([]);
        expect((await session.execute("open('empty').read()")).files).toEqual([]);
        expect((await session.execute("open('empty', 'w').write('x');")).files).toEqual([{ path: 'empty', size: 1 }]);
        await expect(read(session.get({ path: 'link.txt', size: 1 }))).rejects.toThrow(/link/);
        await expect(read(session.get({ path: 'alias.csv', size: 1 }))).rejects.toThrow(/link/);
        await expect(read(session.get({ path: 'folder', size: 1 }))).rejects.toThrow();
        await expect(read(session.get({ path: 'gone', size: 1 }))).rejects.toThrow(/No such file/);
        for (const path of ['../../etc/passwd', '/etc/passwd', 'a/../../b', '', 'a\0b', 'a\nb']) {
          await expect(read(session.get({ path, size: 1 })), path).rejects.toThrow(/name of the file/);
        }
        for (const name of ['../x', 'a/b', '', '.', '..', 'x'.repeat(256), 'a\\b', 'a\u0000', '\ud800']) {
          await expect(session.put({ name, content: [] }), name).rejects.toThrow(/name of the file/);
        }
      }));

    it('refuses files that are larger than a file may be', () =>
      together(async (session) => {
        const piece = new Uint8Array(1024 * 1024);
        await expect(session.put({ name: 'large', content: Array.from({ length: 9 }, () => piece) })).rejects.toThrow(
          /larger/,
        );
        await run(session, "open('big', 'wb').truncate(9 * 1024 * 1024);");
        await expect(read(session.get({ path: 'big', size: 9 * 1024 * 1024 }))).rejects.toThrow(/larger/);
        await run(session, "open('grown', 'wb').truncate(7 * 1024 * 1024);");
        await expect(read(session.get({ path: 'grown', size: 1 }))).rejects.toThrow(/another size than was said/);
        // Half of it would pass for all of it.
        expect((await session.list()).map(({ path }) => path)).not.toContain('large');
        const broken = async function* () {
          yield piece;
          throw new Error('the source broke');
        };
        await expect(session.put({ name: 'half', content: broken() })).rejects.toThrow('the source broke');
        expect((await session.list()).map(({ path }) => path)).not.toContain('half');
        expect(await run(session, '1 + 1')).toBe('2\n');
      }));

    it('knows await, and events that a library waits for', () =>
      together(async (session) => {
        const code = `import asyncio
async def later(n):
    await asyncio.sleep(0.01)
    return n
print(await later(1))
await asyncio.gather(later(2), later(3))`;
        expect(await run(session, code)).toBe('1\n[2, 3]\n');
        expect(await run(session, 'asyncio.run(later(4))')).toBe('4\n');
      }));

    it('reads nothing from its standard input', () =>
      together(async (session) => {
        expect((await session.execute("input('? ')")).error!.name).toBe('EOFError');
        expect(await run(session, '1 + 1')).toBe('2\n');
      }));

    it('stops code that takes too long, and keeps its variables', () =>
      together(async (session) => {
        await run(session, 'x = 7');
        for (const code of [
          'while True: pass',
          'import time\ntime.sleep(60)',
          'import asyncio\nawait asyncio.sleep(60)',
        ]) {
          const result = await session.execute(code, { limits: { wallMs: 300, graceMs: 10_000 } });
          expect(result, code).toMatchObject({ status: 'timeout', lost: null, error: null });
          expect(result.notice).toContain('stopped after 0.3 seconds');
        }
        expect(await run(session, 'x')).toBe('7\n');
      }));

    it('cancels within a second, before and while the code runs', () =>
      together(async (session) => {
        await run(session, 'x = 8');
        const controller = new AbortController();
        let aborted: number | null = null;
        const result = await session.execute("print('on')\nwhile True: pass", {
          signal: controller.signal,
          onEvent() {
            aborted ??= performance.now();
            controller.abort();
          },
        });
        expect(result).toMatchObject({ status: 'cancelled', lost: null });
        console.log(`${driver}: cancelled after ${Math.round(performance.now() - aborted!)} ms`);
        const never = await session.execute('x = 9', { signal: controller.signal });
        expect(never).toMatchObject({ status: 'cancelled', logs: '', lost: null });
        const atOnce = new AbortController();
        const pending = session.execute('while True: pass', { signal: atOnce.signal, limits: { graceMs: 10_000 } });
        atOnce.abort();
        expect(await pending).toMatchObject({ status: 'cancelled', lost: null });
        expect(await run(session, 'x')).toBe('8\n');
      }));

    it('kills what does not listen, and leaves no process', async () => {
      const before = processesOf();
      await inSession(sandbox, async (session) => {
        const own = newSince(before);
        await run(session, DEAFEN);
        const result = await session.execute('while True: pass', { limits: { wallMs: 2000, graceMs: 300 } });
        expect(result).toMatchObject({ status: 'timeout', lost: 'timeout', files: [] });
        expect(result.notice).toContain('session is gone');
        await allGone(own);
        expect(session.lost).toBe('timeout');
        await expect(session.execute('1')).rejects.toThrow(/lost: timeout/);
        await expect(session.list()).rejects.toThrow(/lost: timeout/);
      });
    });

    it('tells when the interpreter ends by itself', () =>
      inSession(sandbox, async (session) => {
        const result = await session.execute("print('before', flush=True)\nimport os\nos._exit(3)");
        expect(result).toMatchObject({ status: 'crashed', lost: 'crashed' });
        expect(session.lost).toBe('crashed');
      }));

    it('answers a single allocation beyond the limit with a MemoryError', () =>
      together(async (session) => {
        const result = await session.execute('x = bytearray(1_500_000_000)');
        expect(result).toMatchObject({ status: 'error', lost: null, error: { name: 'MemoryError' } });
        expect(await run(session, '1 + 1')).toBe('2\n');
      }));

    it('gives every session its own numbers, variables and files', () =>
      inSession(sandbox, (first) =>
        inSession(sandbox, async (second) => {
          const code =
            "import random, os\nopen('mine', 'w').write('x')\nsecret = 1\nprint(random.random(), hash('a'), os.urandom(4).hex())";
          const numbers = [await run(first, code), await run(second, code)].map((line) => line.split(' '));
          expect(numbers[0]![0]).not.toBe(numbers[1]![0]);
          expect(numbers[0]![2]).not.toBe(numbers[1]![2]);
          await inSession(sandbox, async (third) => {
            expect((await third.execute('secret')).error!.name).toBe('NameError');
            expect(await third.list()).toEqual([]);
          });
        }),
      ));

    it('hands what the listener throws to its caller, and goes on', () =>
      together(async (session) => {
        const onEvent = (): void => {
          throw new Error('the listener broke');
        };
        await expect(session.execute("print('on')\nwhile True: pass", { onEvent })).rejects.toThrow(
          'the listener broke',
        );
        expect(await run(session, '1 + 1')).toBe('2\n');
      }));

    it('refuses code that is too long', () =>
      together(async (session) => {
        const result = await session.execute(`x = '${'a'.repeat(300_000)}'`);
        expect(result).toMatchObject({ status: 'error', lost: null });
        expect(result.logs).toContain('longer than');
      }));
  });
}

export async function read(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}
