import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { limitsOf } from '../../src/sandbox/limits.ts';
import { prepareRuntimeFolder } from '../../src/sandbox/pyodide/runtime-folder.ts';
import { createBox } from '../../src/sandbox/box.ts';
import { createPyodideDriver } from '../../src/sandbox/pyodide/pyodide.ts';
import { type ChooseOptions, chooseSandbox } from '../../src/sandbox/choose.ts';
import { allGone, bubblewrapHere, CACHE, inSession, newSince, processesOf, run } from './boxes.ts';

const problems: unknown[] = [];
const choose = (options: Partial<ChooseOptions>) =>
  chooseSandbox({
    driver: 'auto',
    cacheDir: CACHE,
    limits: { sessions: { warm: 0 } },
    onProblem: (problem) => problems.push(problem),
    ...options,
  });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-bwrap-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A bubblewrap that says what the real one says in places where it cannot work. */
async function failing(name: string, message: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\necho '${message}' >&2\nexit 1\n`, { mode: 0o755 });
  return path;
}

it('takes what passes its self-test, and says why', async () => {
  const missing = await bubblewrapHere();
  const sandbox = (await choose({}))!;
  expect(sandbox.driver).toBe(missing === null ? 'bubblewrap' : 'pyodide');
  expect(sandbox.describe().reason).toContain(missing === null ? 'self-test passed' : missing);
  await sandbox.close();
  expect(await choose({ driver: 'none' })).toBeNull();
});

it('tells what is wrong with the full box, in its words and in ours, and what helps', async () => {
  const before = processesOf();
  for (const [name, message, cause, remedy] of [
    [
      'limit',
      'bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)',
      'no more user namespaces',
      'max_user_namespaces',
    ],
    [
      'sysctl',
      'bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user namespaces',
      'does not let it make namespaces',
      'systempaths=unconfined',
    ],
    ['apparmor', 'bwrap: setting up uid map: Permission denied', 'does not let it make namespaces', 'AppArmor'],
    ['old', 'bwrap: Unknown option --disable-userns', 'older than 0.8', '0.8 or newer'],
    ['python', 'bwrap: execvp /usr/bin/python3: No such file or directory', 'not installed', 'apt-get install'],
    ['odd', 'bwrap: something else', 'not known', 'SANDBOX_DRIVER=pyodide'],
  ] as const) {
    const error: unknown = await choose({ driver: 'bubblewrap', bubblewrap: await failing(name, message) }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ name: 'SandboxUnavailableError' });
    const text = (error as Error).message;
    for (const part of ['bubblewrap', message, cause, remedy, 'SANDBOX_DRIVER=pyodide']) expect(text).toContain(part);
  }
  await expect(choose({ driver: 'bubblewrap', bubblewrap: join(folder, 'none') })).rejects.toThrow(
    /ENOENT.*apt-get install/,
  );
  expect(newSince(before)).toEqual([]);
});

it('falls back to the smaller box only when it was left the choice, and says so', async () => {
  const sandbox = (await choose({ bubblewrap: join(folder, 'none') }))!;
  expect(sandbox.driver).toBe('pyodide');
  expect(sandbox.describe().reason).toMatch(/^pyodide, because bubblewrap cannot be used here.*ENOENT.*What helps/);
  await sandbox.close();
});

it('does not take a box that reaches the host for one', async () => {
  await chmod(folder, 0o777);
  // Speaks bubblewrap's language and puts nothing between the code and the host.
  const script = `
import ctypes, json, os
def read(fd):
    data = b''
    while piece := os.read(fd, 65536): data += piece
    return data
for fd in (5, 6): read(fd)
open('${folder}/runner.py', 'wb').write(read(8).replace(b'/opt/skein', b'${folder}'))
open('${folder}/skein_cell.py', 'wb').write(read(9).replace(b"'/mnt/data'", b"'${folder}'"))
init = os.fork()
if init == 0:
    runner = os.fork()
    if runner == 0:
        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: it is to be killable, at least
        os.execv('/usr/bin/python3', ['python3', '-I', '-B', '${folder}/runner.py'])
    os.waitpid(runner, 0)
    os._exit(0)
os.write(7, json.dumps({'child-pid': init}).encode())
for fd in (1, 2, 3, 4, 7): os.close(fd)
os.waitpid(init, 0)
`;
  const path = join(folder, 'open');
  await writeFile(join(folder, 'open.py'), script);
  await writeFile(path, `#!/bin/sh\nexec /usr/bin/python3 ${folder}/open.py\n`, { mode: 0o755 });
  const before = processesOf();
  await expect(choose({ driver: 'bubblewrap', bubblewrap: path })).rejects.toThrow(
    /self-test failed: a file of the host could be read. It is not safe here and is not used/,
  );
  await allGone(newSince(before));
});

it('starts without a snapshot where none can be made, and tells', async () => {
  const told: unknown[] = [];
  const limits = limitsOf('pyodide');
  const cacheDir = await mkdtemp(join(tmpdir(), 'skein-cache-'));
  try {
    const failed = new Error('no snapshot today');
    const runtime = await prepareRuntimeFolder(
      cacheDir,
      false,
      () => Promise.reject(failed),
      (problem) => told.push(problem),
    );
    expect(runtime.snapshot).toBeNull();
    expect(told).toEqual([failed]);
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
  const onProblem = (problem: unknown): void => void problems.push(problem);
  const driver = await createPyodideDriver({ limits: limits.box, cacheDir: CACHE, onProblem, snapshot: false });
  const box = createBox(await driver.start(), limits);
  expect((await box.execute('6 * 7')).value).toBe('42');
  await box.end('closed');
  await driver.close();
}, 240_000);

it('keeps a snapshot that fits, and makes one that was spoilt again', async () => {
  const cacheDir = await mkdtemp(join(tmpdir(), 'skein-cache-'));
  await chmod(cacheDir, 0o755);
  try {
    const onProblem = (problem: unknown): void => void problems.push(problem);
    // Relative, with characters that are dear to URLs and command lines.
    const odd = relative(process.cwd(), join(cacheDir, 'a folder %20 "ö"'));
    const first = await createPyodideDriver({ limits: limitsOf('pyodide').box, cacheDir: odd, onProblem });
    const [name] = await readdir(odd);
    const snapshot = join(odd, name!, 'snapshot.bin');
    const sum = await readFile(`${snapshot}.sha256`, 'utf8');
    const bytes = await readFile(snapshot);
    bytes[bytes.length >> 1]! ^= 0xff;
    await writeFile(snapshot, bytes);
    const second = (await choose({ driver: 'pyodide', cacheDir: odd }))!;
    await inSession(second, async (session) => expect(await run(session, '6 * 7')).toBe('42\n'));
    await second.close();
    // Swept away under a host that runs: the next start puts it back.
    await rm(join(odd, name!, 'pyodide'), { recursive: true });
    const swept = createBox(await first.start(), limitsOf('pyodide'));
    expect((await swept.execute('6 * 7')).value).toBe('42');
    await swept.end('closed');
    expect((await readFile(snapshot)).equals(bytes)).toBe(false);
    expect(await readFile(`${snapshot}.sha256`, 'utf8')).toMatch(/^[0-9a-f]{64}$/);
    expect(sum).toMatch(/^[0-9a-f]{64}$/);
    expect(await readdir(odd)).toEqual([name]);
    await first.close();
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
  expect(problems).toEqual([]);
}, 240_000);
