import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { denoArguments } from '../../src/sandbox/pyodide/command.ts';
import { limitsOf } from '../../src/sandbox/limits.ts';
import { attackSuite } from './attack-suite.ts';
import { DEADLY, DENO_OPS, JAVASCRIPT } from './attacks.ts';
import { allGone, inSession, longestStall, newSince, processesOf, run, summary, ticks } from './boxes.ts';
import { contractSuite } from './contract-suite.ts';
import { waitFor } from '../server/wait-for.ts';

contractSuite('pyodide');

/** Judged for Deno 2.9.6: op_napi_open asks Deno's permissions, those of its desktop do nothing without one. */
const KNOWN_OPS: readonly string[] = [
  'BrowserWindow',
  'Dock',
  'Notification',
  'Tray',
  'op_base64_encode_from_buffer',
  'op_desktop_alert',
  'op_desktop_apply_patch',
  'op_desktop_confirm',
  'op_desktop_confirm_update',
  'op_desktop_init',
  'op_desktop_prompt',
  'op_desktop_query_notification_permission',
  'op_desktop_recv_event',
  'op_desktop_reject_bind_call',
  'op_desktop_request_notification_permission',
  'op_desktop_resolve_bind_call',
  'op_desktop_send_error_report',
  'op_desktop_verify_ed25519',
  'op_napi_open',
  'op_set_exit_code',
];

attackSuite('pyodide', ({ attack, sandbox, around }) => {
  it('reaches nothing through JavaScript either', () =>
    inSession(sandbox(), async (session) => {
      const result = await attack(session, JAVASCRIPT(around()), { wallMs: 60_000 });
      expect(result.status, summary(result)).toBe('ok');
      expect(result.logs.match(/.*REACHED.*/g)).toBeNull();
      expect(result.logs.match(/refused/g)!.length).toBeGreaterThan(33);
      expect(await run(session, DENO_OPS)).toBe(`${KNOWN_OPS.join(' ')}\n`);
    }));

  it('dies alone of what it cannot refuse', async () => {
    for (const code of DEADLY(around())) {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        const own = newSince(before);
        const result = await attack(session, code, { wallMs: 5000, graceMs: 300 });
        expect(['ok', 'error', 'crashed', 'timeout'], summary(result)).toContain(result.status);
        await session.close();
        await allGone(own);
      });
    }
  });

  it('does nothing between calls, whatever it has left behind', async () => {
    const before = processesOf();
    await inSession(sandbox(), async (session) => {
      await attack(
        session,
        `import js, os, threading
for act in (lambda: os.fork(), lambda: threading.Thread(target=print).start()):
    try:
        act()
        print('REACHED')
    except (OSError, RuntimeError, AttributeError):
        pass
js.eval('setInterval(() => { for (let i = 0; i < 1e6; i++); }, 0)')
print('left')`,
      ).then(({ logs }) => expect(logs).toBe('left\n'));
      const own = newSince(before);
      await waitFor('it to be frozen', () =>
        own.every(({ pid }) => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))),
      );
      const used = ticks(own);
      // Nothing is expected to happen, so there is no condition to wait for but the neighbours' work.
      await inSession(sandbox(), (other) => run(other, 'sum(range(300_000))'));
      expect(ticks(own)).toBe(used);
    });
  });

  it('starts with every permission withheld and every limit set', async () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
      'dependencies' | 'optionalDependencies',
      Record<string, string>
    >;
    // Exact: the memory snapshot and the list of operations belong to one build.
    expect(manifest.optionalDependencies['@deno/linux-x64-glibc']).toMatch(/^\d+\.\d+\.\d+$/);
    expect(manifest.dependencies.pyodide).toMatch(/^\d+\.\d+\.\d+$/);
    const args = denoArguments('/folder', limitsOf('pyodide').box);
    expect(args.filter((arg) => arg.startsWith('--allow'))).toEqual(['--allow-read=/folder']);
    for (const flag of ['--no-prompt', '--no-remote', '--no-npm', '--no-config', '--no-lock', '--cached-only']) {
      expect(args).toContain(flag);
    }
    const before = processesOf();
    await inSession(sandbox(), () => {
      const [own, ...others] = newSince(before);
      expect(others).toEqual([]);
      const of = (file: string): string => readFileSync(`/proc/${own!.pid}/${file}`, 'latin1');
      expect(of('environ')).toMatch(
        /^(PATH=[^\0]*\0|DENO_DIR=\/dev\/null\/x\0|PWD=[^\0]*\0|OLDPWD=[^\0]*\0|_=[^\0]*\0)+$/,
      );
      const limits = Object.fromEntries(
        [...of('limits').matchAll(/^(Max .*?) {2,}(\S+) +(\S+)/gm)].map(([, name, soft, hard]) => [name, [soft, hard]]),
      );
      expect(limits).toMatchObject({
        'Max data size': [String((1280 + 384) * 1024 * 1024), String((1280 + 384) * 1024 * 1024)],
        'Max file size': ['0', '0'],
        'Max core file size': ['0', '0'],
        'Max open files': ['64', '64'],
        'Max cpu time': ['600', '600'],
      });
      expect(of('status')).toMatch(/^NoNewPrivs:\s+1$/m);
      if (process.getuid!() === 0) {
        expect(of('status')).not.toMatch(/^Uid:\s+0/m);
        expect(limits['Max processes']).toEqual(['64', '64']);
      }
      return Promise.resolve();
    });
  });

  it('survives, or dies alone of, JavaScript that takes all memory', async () => {
    for (const [code, verdicts] of [
      ['const kept = []; for (;;) kept.push(new Uint8Array(20_000_000).fill(1))', [null, 'memory', 'crashed']],
      ['const kept = []; for (;;) kept.push(new Array(10_000).fill(1.5))', ['memory', 'crashed']],
      [
        'for (;;) new Worker(URL.createObjectURL(new Blob(["for(;;);"])), { type: "module" })',
        [null, 'memory', 'crashed'],
      ],
    ] as const) {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        const own = newSince(before);
        const { value, stall } = await longestStall(() =>
          attack(session, `import js\njs.eval(${JSON.stringify(code)})`, { graceMs: 300 }),
        );
        console.log(
          `pyodide: ${value.status} after ${value.usage.wallMs} ms, ${value.usage.peakMemoryBytes} bytes, stall ${stall} ms`,
        );
        expect(verdicts, summary(value)).toContain(value.lost);
        if (value.lost) await allGone(own);
      });
    }
  });

  it('takes lies on its pipe for lies about itself, and ends those who shout them', async () => {
    await inSession(sandbox(), async (session) => {
      const result = await attack(
        session,
        `import js
for line in ('garbage', 'null', '{"id": 999, "done": {"value": "other"}}', '{"ready": "9.9"}', '{"out": 7}'):
    js.eval('Deno').stdout.writeSync(js.TextEncoder.new().encode(line + '\\n'))
    js.postMessage(line)
print('honest')
'mine'`,
      );
      expect(result, summary(result)).toMatchObject({ status: 'ok', logs: "honest\n'mine'\n" });
    });
    const before = processesOf();
    await inSession(sandbox(), async (session) => {
      const own = newSince(before);
      const { value, stall } = await longestStall(() =>
        attack(
          session,
          `import js\njs.eval('const chunk = new Uint8Array(65536).fill(120); for (;;) Deno.stdout.writeSync(chunk)')`,
        ),
      );
      console.log(`pyodide: flood of ${value.usage.wallMs} ms, longest stall ${stall} ms`);
      expect(value, summary(value)).toMatchObject({ status: 'output', lost: 'output' });
      expect(stall).toBeLessThan(1500);
      await allGone(own);
    });
  });

  it('cannot hold on to life with signals or by ending a part of itself', async () => {
    for (const code of [
      'import js\njs.eval(\'Deno.addSignalListener("SIGTERM", () => {}); for (;;);\')',
      "import js\njs.eval('Deno.exit(0)')\nwhile True: pass",
      "import js\njs.eval('self.close()')\nwhile True: pass",
      "import js\njs.eval('Deno.stdin.readSync(new Uint8Array(100))')",
    ]) {
      const before = processesOf();
      await inSession(sandbox(), async (session) => {
        const own = newSince(before);
        const result = await attack(session, code, { wallMs: 500, graceMs: 300 });
        expect(['timeout', 'crashed', null], summary(result)).toContain(result.lost);
        await session.close();
        await allGone(own);
      });
    }
  });
});
