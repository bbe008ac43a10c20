import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createBubblewrapDriver } from '../../src/sandbox/bubblewrap/bubblewrap.ts';
import { limitsOf } from '../../src/sandbox/limits.ts';
import { attackSuite } from './attack-suite.ts';
import { FOREIGN_CALL, LOOKS_AROUND, RAW_ANSWERS, RAW_CALLS } from './attacks.ts';
import {
  allGone,
  bubblewrapHere,
  inSession,
  longestStall,
  newSince,
  openSandbox,
  processesOf,
  run,
  summary,
  ticks,
} from './boxes.ts';
import { contractSuite, read } from './contract-suite.ts';
import { waitFor } from '../server/wait-for.ts';

const missing = await bubblewrapHere();

/** Numbers of signals. */
const NO_SIGNAL = 0;
const SIGSYS = 31;

/** Processes of boxes that nobody looks after. */
function orphans(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'latin1');
        if (!/^PPid:\s+1$/m.test(status) || /^State:\s+[ZX]/m.test(status)) return false;
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('/opt/skein/runner.py');
      } catch {
        return false;
      }
    });
}

if (missing !== null) {
  it('says what would have to be done to have it', () => {
    expect(missing).toContain('What helps:');
  });
} else {
  contractSuite('bubblewrap');

  it('leaves nothing of a box that is killed while it is being made', async () => {
    const { box: limits } = limitsOf('bubblewrap');
    const before = processesOf();
    let made = 0;
    for (let round = 0; round < 40; round += 1) {
      const driver = await createBubblewrapDriver({ limits });
      const started = driver.start().then(
        () => (made += 1),
        (error: unknown) => error,
      );
      // Later in every round: the moments in which it can go wrong are short.
      const until = performance.now() + round / 2;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      await driver.close();
      await started;
    }
    console.log(`killed while starting: ${40 - made} of 40`);
    expect(made).toBeLessThan(40);
    expect(newSince(before)).toEqual([]);
    await waitFor('the end of what was orphaned', () => orphans().length === 0, 1000);
  });

  describe('figures and tables', () => {
    it('shows figures in their place, closes them, and hands out a spreadsheet', async () => {
      const sandbox = await openSandbox('bubblewrap');
      await inSession(sandbox, async (session) => {
        const order: string[] = [];
        const result = await session.execute(
          `import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt, pandas as pd
print('one')
plt.plot([1, 2, 3])
plt.show()
print('two')
frame = pd.DataFrame({'month': ['Jan', 'Feb'], 'sum': [3, 4]})
frame.plot.bar(x='month')
frame.to_excel('report.xlsx', index=False)
plt.figure()
frame.groupby('month').sum()`,
          { onEvent: (event) => order.push(event.type === 'logs' ? event.text.trim() : 'image') },
        );
        expect(result.status, summary(result)).toBe('ok');
        expect(result.images).toHaveLength(2);
        for (const { bytes } of result.images) expect(Buffer.from(bytes).subarray(1, 4).toString()).toBe('PNG');
        expect(order.slice(0, 4)).toEqual(['one', 'image', 'two', 'image']);
        expect(result.logs).toMatch(/sum\nmonth +\nFeb +4\nJan +3\n$/);
        expect(result.files).toEqual([{ path: 'report.xlsx', size: expect.any(Number) as number }]);
        const book = await read(session.get(result.files[0]!));
        expect(book.subarray(0, 2).toString()).toBe('PK');
        expect(book.length).toBe(result.files[0]!.size);
        expect(await run(session, 'plt.get_fignums()')).toBe('[]\n');
        const many = await session.execute('for i in range(5):\n    plt.figure(); plt.plot([i])', {
          limits: { images: 3 },
        });
        expect(many).toMatchObject({ status: 'ok', imagesOmitted: 2 });
        expect(many.images).toHaveLength(3);
        expect(many.notice).toContain('2 figures');
        const failed = await session.execute("plt.plot([1])\nraise ValueError('after the figure')");
        expect(failed).toMatchObject({ status: 'error', error: { message: 'after the figure' } });
        expect(failed.images).toHaveLength(1);
      });
      await sandbox.close();
    });
  });

  attackSuite('bubblewrap', ({ attack, sandbox, around }) => {
    it('answers every forbidden system call with an error, however it is made', () =>
      inSession(sandbox(), async (session) => {
        if (process.arch === 'x64') expect((await attack(session, RAW_CALLS)).logs).toBe(RAW_ANSWERS);
        if (process.arch !== 'x64') return;
        // A machine that has no calls of the 32-bit set ends whoever makes one, in a box and outside.
        const outside = spawnSync('python3', ['-c', FOREIGN_CALL], { encoding: 'utf8' }).stdout;
        expect((await attack(session, FOREIGN_CALL)).logs).toBe(outside === `${NO_SIGNAL}\n` ? `${SIGSYS}\n` : outside);
      }));

    it('sees nothing but itself', () =>
      inSession(sandbox(), async (session) => {
        const { logs } = await attack(session, LOOKS_AROUND);
        expect(logs).toContain("writable ['/dev/shm', '/home/user', '/mnt/data', '/tmp']");
        expect(logs).toContain('processes [1, 2]');
        expect(logs).toMatch(/first \[b'(bwrap|[^']*\/bwrap)', b'--args'\] parent 1\n/);
        expect(logs).toContain('caps 0000000000000000 0000000000000000 nnp 1 seccomp 2');
        expect(logs).toContain("interfaces ['lo']");
        expect(logs).toContain('addresses set()');
        expect(logs).toContain(
          'environment HOME LANG MPLBACKEND MPLCONFIGDIR OMP_NUM_THREADS OPENBLAS_NUM_THREADS PATH PWD TMPDIR\n',
        );
        expect(logs).toMatch(
          /descriptors \[\(0, 'null'\), \(1, 'socket'\), \(2, 'socket'\), \(3, 'socket'\), \(4, 'socket'\)\]/,
        );
        const own = await attack(
          session,
          "print(*(open(f'/proc/{p}/{f}', errors='replace').read() for p in ('self', '1') for f in ('cmdline', 'mountinfo')))",
        );
        expect(own.logs).not.toContain(process.cwd());
        expect(own.logs).not.toContain(around().folder);
        expect(
          (await attack(session, "import os\nos.write(os.open('/proc/self/oom_score_adj', 1), b'-1000')")).error!.name,
        ).toBe('PermissionError');
      }));

    it('runs as a user without rights on the host', async () => {
      const before = processesOf();
      await inSession(sandbox(), (session) =>
        inSession(sandbox(), async () => {
          await run(session, '1');
          const users = new Set(
            newSince(before).map(({ pid }) => /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]),
          );
          if (process.getuid!() === 0) {
            expect(users.has('0')).toBe(false);
            expect(users.size).toBe(2);
          }
        }),
      );
    });

    it('holds a fork bomb to its limit, and kills what is left of it', async () => {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        const result = await attack(
          session,
          `import os, time
made = 0
try:
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        made += 1
except OSError as error:
    print(made, error.strerror)`,
        );
        expect(result.status, summary(result)).toBe('ok');
        expect(Number(result.logs.split(' ')[0])).toBeLessThanOrEqual(64);
        expect(Number(result.logs.split(' ')[0])).toBeGreaterThan(20);
        await waitFor('only the box itself', () => newSince(before).length <= 3, 1000);
        expect(session.lost).toBeNull();
        expect(await run(session, '1 + 1')).toBe('2\n');
        const threads = await attack(
          session,
          `import threading, time
n = 0
try:
    while n < 300: threading.Thread(target=time.sleep, args=(1,), daemon=True).start(); n += 1
except RuntimeError: print('stopped', n < 100)`,
        );
        expect(threads.logs).toBe('stopped True\n');
      });
    });

    it('kills a box whose processes together take too much', () =>
      inSession(sandbox(), async (session) => {
        const own = processesOf();
        const { value, stall } = await longestStall(() =>
          attack(
            session,
            `import os, time
for _ in range(6):
    if os.fork() == 0:
        data = bytearray(os.urandom(1 << 20)) * 150
        time.sleep(600)
time.sleep(600)`,
          ),
        );
        console.log(`memory: ${value.usage.peakMemoryBytes} bytes, longest stall ${stall} ms`);
        expect(value, summary(value)).toMatchObject({ status: 'memory', lost: 'memory' });
        expect(newSince(own)).toEqual([]);
      }));

    it('kills a box that makes too many files', () =>
      inSession(sandbox(), async (session) => {
        const result = await attack(
          session,
          "import os\ni = 0\nwhile True:\n    i += 1\n    os.makedirs(f'/tmp/{i % 100}', exist_ok=True)\n    open(f'/tmp/{i % 100}/{i}', 'w').close()",
        );
        expect(result, summary(result)).toMatchObject({ status: 'disk', lost: 'disk' });
      }));

    it('counts the processor time of all processes of a call', () =>
      inSession(sandbox(), async (session) => {
        const result = await attack(
          session,
          'import os\nfor _ in range(3):\n    if os.fork() == 0:\n        while True: pass\nos.wait()',
          { cpuMs: 500, wallMs: 120_000 },
        );
        expect(result, summary(result)).toMatchObject({ status: 'cpu', lost: null });
        expect(result.usage.cpuMs!).toBeGreaterThan(400);
      }));

    it('ends with everything that it has begun, however it has got away', async () => {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        const controller = new AbortController();
        const result = await session.execute(
          `import ctypes, os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True: time.sleep(1)
        os._exit(0)
print('away', flush=True)
while True: pass`,
          { signal: controller.signal, limits: { graceMs: 300 }, onEvent: () => controller.abort() },
        );
        expect(result, summary(result)).toMatchObject({ status: 'cancelled', lost: 'cancelled' });
        await allGone(newSince(before));
      });
      await inSession(sandbox(), async (session) => {
        const broken = await attack(session, 'import ctypes\nctypes.string_at(0)');
        expect(broken, summary(broken)).toMatchObject({ status: 'crashed', lost: 'crashed' });
      });
    });

    it('leaves nothing running between calls', async () => {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        await attack(
          session,
          `import subprocess, threading, os, signal
subprocess.Popen(['sh', '-c', 'trap "" INT TERM; while :; do :; done'], start_new_session=True)
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True: pass
print('left')`,
        );
        await waitFor('only the box itself', () => newSince(before).length <= 3, 1000);
        const own = newSince(before);
        const used = ticks(own);
        // Nothing is expected to happen, so there is no condition to wait for but the neighbours' work.
        await inSession(sandbox(), (other) => run(other, 'sum(range(3_000_000))'));
        expect(ticks(own)).toBe(used);
        expect(await run(session, '1 + 1')).toBe('2\n');
      });
    });

    it('takes lies on its control pipe for lies about itself', () =>
      inSession(sandbox(), async (session) => {
        const { value: result, stall } = await longestStall(() =>
          attack(
            session,
            `import os, json
for line in (b'garbage', b'null', b'[1]', b'{"id": 999, "done": {"value": "other"}}', b'{"ready": "9.9"}', b'"x"', b'\\xff\\xfe'):
    os.write(4, line + b'\\n')
print('honest')
'mine'`,
          ),
        );
        expect(result, summary(result)).toMatchObject({ status: 'ok', logs: "honest\n'mine'\n" });
        const faked = await attack(
          session,
          `import os, json, sys
frame = sys._getframe()
while 'message' not in frame.f_locals: frame = frame.f_back
id = frame.f_locals['message']['id']
for image in range(20):
    os.write(4, json.dumps({'id': id, 'image': image, 'data': 'bm90IGEgcG5n', 'last': True}).encode() + b'\\n')
os.write(4, json.dumps({'id': id, 'done': {'value': 5, 'status': 'timeout', 'error': {'name': 7, 'traceback': 'x\\0\\ud800'},
    'files': [{'path': '../../etc/passwd', 'size': 1}, {'path': 'a', 'size': -1}, {'path': 'b\\0', 'size': 1}, 7, None,
              {'path': 'ok', 'size': 1}] * 300, 'mark': 10**9, 'filesOmitted': 'x'}}).encode() + b'\\n')
while True: pass`,
        );
        expect(faked, summary(faked)).toMatchObject({
          status: 'error',
          images: [],
          value: null,
          error: { name: 'Exception', traceback: 'x\uFFFD\uFFFD' },
          files: [{ path: 'ok', size: 1 }],
        });
        expect(stall).toBeLessThan(1500);
      }));

    it('is not kept busy by a flood on its control pipe', async () => {
      for (const flood of [
        "while True: os.write(4, b'x' * 65536)",
        "while True: os.write(4, b'x\\n' * 30000)",
        'while True: os.write(4, b\'{"id": 1}\\n\' * 5000)',
      ]) {
        await inSession(sandbox(), async (session) => {
          const before = process.cpuUsage();
          const { value, stall } = await longestStall(() => attack(session, `import os\n${flood}`));
          const cpu = process.cpuUsage(before);
          const cpuMs = Math.round((cpu.user + cpu.system) / 1000);
          console.log(`control flood: ${value.usage.wallMs} ms, host cpu ${cpuMs} ms, longest stall ${stall} ms`);
          expect(value, summary(value)).toMatchObject({ status: 'output', lost: 'output' });
          expect(cpuMs).toBeLessThan(3000);
          expect(stall).toBeLessThan(1500);
        });
      }
    });

    it('is not kept busy by a flood of marks among the logs', () =>
      inSession(sandbox(), async (session) => {
        const before = process.cpuUsage();
        const { value, stall } = await longestStall(() =>
          attack(
            session,
            `import os, sys
frame = sys._getframe()
while 'message' not in frame.f_locals: frame = frame.f_back
mark = b'\\x1e' + frame.f_locals['message']['nonce'].encode() + b'\\x1e'
while True: os.write(1, mark * 1500)`,
          ),
        );
        const { user, system } = process.cpuUsage(before);
        const cpuMs = Math.round((user + system) / 1000);
        console.log(`flood of marks: ${value.usage.wallMs} ms, host cpu ${cpuMs} ms, longest stall ${stall} ms`);
        expect(value, summary(value)).toMatchObject({ status: 'output' });
        expect(cpuMs).toBeLessThan(3000);
        expect(stall).toBeLessThan(1500);
      }));

    it('is not kept waiting by code that shuts its pipes or stops itself', async () => {
      for (const code of [
        'import os\nos.closerange(0, 100)',
        'import os\nos.kill(os.getpid(), 19)',
        'import os\nos.dup2(os.open("/dev/null", 1), 4)',
      ]) {
        const before = processesOf();
        await inSession(sandbox(), async (session) => {
          const own = newSince(before);
          // Long enough to get that far on a busy machine.
          const result = await attack(session, code, { wallMs: 3000, graceMs: 300 });
          expect(['timeout', 'crashed'], summary(result)).toContain(result.lost);
          await allGone(own);
        });
      }
      await inSession(sandbox(), async (session) => {
        const result = await attack(session, "import os\nprint('last words')\nos.close(1); os.close(2)");
        expect(result, summary(result)).toMatchObject({ status: 'ok', logs: 'last words\n' });
      });
    });
  });
}
