import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallLimits } from '../../src/sandbox/limits.ts';
import type { Driver, LostReason, Result, Sandbox, Session } from '../../src/sandbox/sandbox.ts';
import { CONNECTS, KILLS, READS, type Surroundings, WRITES } from './attacks.ts';
import {
  allGone,
  DEAFEN,
  inSession,
  longestStall,
  newSince,
  openSandbox,
  PATIENT,
  processesOf,
  run,
  summary,
} from './boxes.ts';

const MIB = 1024 * 1024;
/** Milliseconds. Far more than it takes alone; the machine is shared by tests. */
const MOST_STALL = 1500;

export interface Arena {
  sandbox(): Sandbox;
  around(): Surroundings;
  /** Runs an attack. Whatever comes out, no canary is in it, and nobody has knocked at the host's doors. */
  attack(session: Session, code: string, limits?: Partial<CallLimits>): Promise<Result>;
}

/** Attacks that everything that calls itself a box has to hold; `more` adds those of one kind. */
export function attackSuite(driver: Driver, more: (arena: Arena) => void): void {
  describe(`attacks on the ${driver} box`, PATIENT, () => {
    const canaries = { file: randomUUID(), environment: randomUUID(), neighbour: randomUUID(), server: randomUUID() };
    let sandbox: Sandbox;
    let around: Surroundings;
    let neighbour: Session;
    let connections = 0;
    const answer = (socket: Socket): void => {
      connections += 1;
      socket.end(canaries.server);
    };
    const [tcp, unix, nameless] = [createServer(answer), createServer(answer), createServer(answer)];

    beforeAll(async () => {
      process.env.SKEIN_TEST_CANARY = canaries.environment;
      const folder = await mkdtemp(join(tmpdir(), 'skein-canary-'));
      const file = join(folder, 'canary');
      const socket = join(folder, 'socket');
      await writeFile(file, canaries.file);
      tcp.listen(0, '127.0.0.1');
      unix.listen(socket);
      const abstract = `skein-canary-${randomUUID()}`;
      nameless.listen(`\0${abstract}`);
      await Promise.all([tcp, unix, nameless].map((server) => once(server, 'listening')));
      for (const path of [folder, file, socket]) await chmod(path, 0o777);
      around = { folder, file, socket, port: (tcp.address() as AddressInfo).port, abstract, host: process.pid };
      sandbox = await openSandbox(driver, {
        box: { memoryBytes: (driver === 'pyodide' ? 384 : 256) * MIB, dataBytes: 32 * MIB, files: 2000 },
        call: { wallMs: 120_000, mostLogBytes: 2 * MIB, logBytes: 256 * 1024 },
      });
      neighbour = await sandbox.open({ key: 'neighbour', project: 'neighbour' });
      await run(neighbour, `secret = '${canaries.neighbour}'\nopen('/mnt/data/secret', 'w').write(secret);`);
    });
    afterAll(async () => {
      await neighbour?.close();
      await sandbox?.close();
      for (const server of [tcp, unix, nameless]) server.close();
      delete process.env.SKEIN_TEST_CANARY;
      await rm(around.folder, { recursive: true, force: true });
    });

    const arena: Arena = {
      sandbox: () => sandbox,
      around: () => around,
      async attack(session, code, limits = {}) {
        const result = await session.execute(code, { limits });
        const said = JSON.stringify({ ...result, images: [] });
        for (const canary of Object.values(canaries)) expect(said).not.toContain(canary);
        expect(connections).toBe(0);
        expect(new Set(await readdir(around.folder))).toEqual(new Set(['canary', 'socket']));
        return result;
      },
    };
    const { attack } = arena;
    /**
     * An attack that costs its session: it ends with this verdict, the host stays awake, and no process is left.
     * `first` is a call of before, which has the time that it needs.
     */
    const fatal = async (
      code: string,
      verdicts: readonly LostReason[],
      limits: Partial<CallLimits> = {},
      first?: string,
    ): Promise<void> => {
      const before = processesOf();
      await inSession(sandbox, async (session) => {
        const own = newSince(before);
        if (first) await run(session, first);
        const { value: result, stall } = await longestStall(() => attack(session, code, limits));
        console.log(`${driver}: ${result.status} after ${result.usage.wallMs} ms, longest stall ${stall} ms`);
        expect(verdicts, summary(result)).toContain(result.lost);
        expect(result.status).toBe(result.lost);
        expect(stall).toBeLessThan(MOST_STALL);
        await allGone([...own, ...newSince(before)].filter(({ pid }) => own.some((mine) => mine.pid === pid)));
      });
    };

    it('reads no file and no environment of the host', () =>
      inSession(sandbox, async (session) => {
        const { logs, status } = await attack(session, READS(around));
        expect(status, logs).toBe('ok');
        expect(logs.match(/REACHED.*/g)).toBeNull();
        expect(logs.match(/refused/g)).toHaveLength(12);
      }));

    it('writes nothing outside, connects nowhere and ends no other process', () =>
      inSession(sandbox, async (session) => {
        const wrote = await attack(session, WRITES(around));
        if (driver === 'bubblewrap') expect(wrote.logs.match(/REACHED.*/g)).toBeNull();
        const connected = await attack(session, CONNECTS(around));
        expect(connected.status, connected.logs).toBe('ok');
        expect(connected.logs.match(/REACHED.*/g)).toBeNull();
        const killed = await attack(session, KILLS(around));
        expect(killed.logs.match(/REACHED.*/g) ?? []).toEqual(
          driver === 'bubblewrap' ? ['REACHED None', 'REACHED None'] : [],
        );
        expect(session.lost).toBeNull();
        expect(neighbour.lost).toBeNull();
      }));

    it('survives a full disk, a zip bomb and endless loops, and goes on', () =>
      inSession(sandbox, async (session) => {
        await run(session, 'kept = 5');
        const full = await attack(session, "f = open('/mnt/data/full', 'wb')\nwhile f.write(b'x' * 1_000_000): pass");
        expect(['error', 'memory', 'crashed'], summary(full)).toContain(full.status);
        if (driver === 'bubblewrap') expect(full.error!.message).toContain('No space left');
        if (full.lost) return;
        await run(session, "import os\nf = None\nos.unlink('/mnt/data/full')");
        const bomb =
          'import zlib\nc = zlib.compressobj(9)\nbomb = b"".join(c.compress(bytes(1 << 20)) for _ in range(600)) + c.flush()\nzlib.decompress(bomb)';
        const zip = await attack(session, bomb);
        expect(zip, summary(zip)).toMatchObject({
          status: 'error',
          error: { name: expect.stringMatching(/Memory|Overflow/) as string },
        });
        for (const loop of ['while True: pass', '10 ** 10 ** 8', "import re\nre.match('(a+)+$', 'a' * 40 + 'b')"]) {
          const result = await attack(session, loop, { wallMs: 300, graceMs: 10_000 });
          expect(result, loop).toMatchObject({ status: 'timeout', lost: null });
        }
        expect(await run(session, 'kept')).toBe('5\n');
      }));

    it('answers memory that is taken piece by piece with a MemoryError, and goes on', () =>
      inSession(sandbox, async (session) => {
        const grown = await attack(session, 'kept = []\nwhile True: kept.append(bytearray(5_000_000))');
        expect(grown, summary(grown)).toMatchObject({ status: 'error', lost: null, error: { name: 'MemoryError' } });
        expect(await run(session, 'kept.clear()\n1 + 1')).toBe('2\n');
      }));

    it('ends what swallows every exception, the interrupt too', () =>
      fatal(
        'def spin():\n    while True: pass\nwhile True:\n    try: spin()\n    except BaseException: pass',
        ['timeout'],
        { wallMs: 2000, graceMs: 300 },
      ));

    it('ends what ignores the interrupt', () =>
      fatal('while True: pass', ['timeout'], { wallMs: 2000, graceMs: 300 }, DEAFEN));

    it('ends what prints without end, and keeps the host awake', async () => {
      await inSession(sandbox, async (session) => {
        const flood = "line = 'y' * 4000\nwhile True: print(line)";
        const { value, stall } = await longestStall(() => attack(session, flood));
        console.log(
          `${driver}: flood ended as ${value.status} after ${value.usage.wallMs} ms, longest stall ${stall} ms`,
        );
        expect(value.status).toBe('output');
        expect(Buffer.byteLength(value.logs)).toBeLessThan(300 * 1024);
        expect(stall).toBeLessThan(MOST_STALL);
      });
      await fatal(
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: sys.stderr.write('e' * 100_000)",
        ['output'],
        { graceMs: 300 },
      );
    });

    it('takes an interpreter that breaks for what it is', () => fatal('import os\nos.abort()', ['crashed']));

    it('ends an interpreter that has had its share of the processor', async () => {
      // The start of the box is paid from it as well, which a busy machine makes dearer.
      const other = await openSandbox(driver, { box: { cpuMs: 8000 } });
      try {
        await inSession(other, async (session) => {
          const code = 'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass';
          const result = await attack(session, code, { wallMs: 200_000, cpuMs: 60_000 });
          expect(result, summary(result)).toMatchObject({ status: 'cpu', lost: 'cpu' });
        });
      } finally {
        await other.close();
      }
    });

    it('hands out names as text and never as paths', () =>
      inSession(sandbox, async (session) => {
        const made = await attack(
          session,
          `import os
for name in (b'..\\\\up', b'a' * 255, b'.hidden', b'\\xe2\\x80\\xae.txt', b'-rf', b'tab\\t'):
    open(b'/mnt/data/' + name, 'w').close()
f = open('/mnt/data/sparse', 'wb')
f.truncate(20 * 1024 * 1024)
os.link('/mnt/data/sparse', '/mnt/data/hard');`,
        );
        const paths = made.files.map(({ path }) => path);
        for (const path of paths) expect(path).not.toMatch(/[\\\p{Cc}]|\.\./u);
        expect(paths).toContain('a'.repeat(255));
      }));

    more(arena);

    it('left the neighbour alone', async () => {
      expect(await run(neighbour, "secret == open('/mnt/data/secret').read()")).toBe('True\n');
      expect(connections).toBe(0);
    });
  });
}
