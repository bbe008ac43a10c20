import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type Body, type BodyDriver, type BodyHooks, type Measure, MOST_LINE } from '../body.ts';
import { createChildren, type Ended } from '../children.ts';
import type { BoxLimits } from '../limits.ts';
import { readLines } from '../line-reader.ts';
import { measureTree, signal, yieldProcessor } from '../process-tree.ts';
import { SandboxUnavailableError } from '../sandbox.ts';
import { createUids } from '../uid-range.ts';
import { type Command, DENO_ENVIRONMENT, denoArguments, limited } from './command.ts';
import { denoProgram, isWhole, prepareRuntimeFolder, type RuntimeFolder } from './runtime-folder.ts';

/** Milliseconds; without a snapshot and with busy neighbours it takes a while. */
const START_TIME = 60_000;
const MOST_COMPLAINT = 4096;
const MOST_SNAPSHOT = 128 * 1024 * 1024;

export interface PyodideOptions {
  limits: BoxLimits;
  /** A folder for what is made once: the runtime's files and its memory snapshot. */
  cacheDir: string;
  /** Told of a snapshot that could not be made: starts are slow then, and safe all the same. */
  onProblem: (error: unknown) => void;
  /** False to start without a snapshot, as where none can be made. */
  snapshot?: boolean;
}

export async function createPyodideDriver(options: PyodideOptions): Promise<BodyDriver> {
  const { limits, cacheDir, onProblem, snapshot = true } = options;
  const deno = denoProgram();
  const uids = createUids();
  const children = createChildren();
  const root = process.getuid?.() === 0;
  const linux = process.platform === 'linux';
  const setpriv = linux && spawnSync('setpriv', ['--version'], { stdio: 'ignore' }).status === 0;
  const run = (folder: RuntimeFolder, args: string[], uid: number | null): ChildProcess => {
    const command: Command = { program: deno, args: [...denoArguments(folder.path, limits), ...args] };
    const { program, args: all } = limited(command, limits, { ownUser: uid !== null, setpriv });
    return spawn(program, all, {
      cwd: folder.emptyFolder,
      env: { PATH: '/usr/bin:/bin', ...DENO_ENVIRONMENT },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      ...(uid === null ? {} : { uid, gid: uid }),
    });
  };
  const makeSnapshot = async (plain: RuntimeFolder): Promise<Buffer> => {
    const uid = uids.take();
    try {
      const child = run(plain, [`${plain.path}/make-snapshot.mjs`], uid);
      return await outputOf(child, children.add(child));
    } finally {
      uids.giveBack(uid);
    }
  };
  const prepare = (): Promise<RuntimeFolder> => prepareRuntimeFolder(cacheDir, root, makeSnapshot, onProblem);
  let prepared = prepare();
  await prepared;

  return {
    isolation: [
      'Python in WebAssembly (Pyodide), in a Deno process of its own that may read one folder with its own program: no network, no files, no environment, no other programs.',
      root ? 'Each session runs as a user of its own.' : 'Sessions run as the user of the server.',
      process.platform === 'win32'
        ? 'No limits of the operating system under those of Deno.'
        : `Limits of the operating system on memory${linux ? '' : ' (not on this system)'}, files and processor time.`,
    ],
    async start() {
      let folder = await prepared;
      if (!(await isWhole(folder))) {
        prepared = prepare();
        folder = await prepared;
      }
      const uid = uids.take();
      const args = [`${folder.path}/host.mjs`, ...(snapshot && folder.snapshot ? [folder.snapshot] : [])];
      const child = run(folder, args, uid);
      const ended = children.add(child);
      void ended.then(() => uids.giveBack(uid));
      return await startBody(child, ended);
    },
    close: children.close,
  };
}

async function startBody(child: ChildProcess, exited: Promise<Ended>): Promise<Body> {
  const complaint = gather(child.stderr!);
  child.stdin!.on('error', () => {
    // What it does not read when it ends is no news: its end is.
  });
  const { promise: said, resolve: onReady } = Promise.withResolvers<string>();
  let hooks: BodyHooks | null = null;
  let ended = false;
  void exited.then(() => (ended = true));
  const kill = (): void => {
    if (!ended) child.kill('SIGKILL');
  };
  readLines(child.stdout!, MOST_LINE, {
    line(text) {
      if (hooks) return hooks.line(text);
      onReady(text);
      return true;
    },
    tooLong: () => (hooks ? hooks.broken() : kill()),
  });
  const timer = setTimeout(kill, START_TIME);
  const failed = exited.then(({ code, signal: name }) =>
    unavailable(`${complaint()} (ended with ${code ?? name})`.trim()),
  );
  const first = await Promise.race([said, failed.then((error) => Promise.reject(error))]).finally(() =>
    clearTimeout(timer),
  );
  const ready = JSON.parse(first) as { ready?: string; fatal?: string };
  if (ready.ready === undefined) {
    kill();
    throw unavailable(String(ready.fatal));
  }
  const pid = child.pid!;
  const linux = process.platform === 'linux';
  if (linux) yieldProcessor(pid);
  // The program and the interpreter themselves, which the limit does not mean.
  const atRest = linux ? (await measureTree(pid, Infinity)).memoryBytes : 0;
  const send = (message: object): Promise<void> =>
    new Promise((resolve, reject) => {
      child.stdin!.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  // Elsewhere a frozen process would outlive its host: nothing but its own reading tells it that the host is gone.
  const pause = (name: NodeJS.Signals): void => {
    if (!ended && linux) signal(pid, name);
  };
  return {
    python: ready.ready,
    marks: false,
    listen: (set) => void (hooks = set),
    send,
    // A box that takes no more is killed after the grace.
    interrupt: () => void send({ op: 'interrupt' }).catch(() => {}),
    freeze: () => pause('SIGSTOP'),
    thaw: () => pause('SIGCONT'),
    kill,
    exited,
    async measure(): Promise<Measure | null> {
      if (ended || !linux) return null;
      const seen = await measureTree(pid, Infinity);
      return { ...seen, memoryBytes: Math.max(0, seen.memoryBytes - atRest) };
    },
    tidy: () => Promise.resolve(true),
  };
}

function gather(stream: Readable): () => string {
  let text = '';
  stream.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('utf8')).slice(0, MOST_COMPLAINT);
  });
  return () => text.trim().split('\n')[0]!;
}

async function outputOf(child: ChildProcess, ended: Promise<Ended>): Promise<Buffer> {
  const complaint = gather(child.stderr!);
  const pieces: Buffer[] = [];
  let length = 0;
  child.stdin!.on('error', () => {}).end();
  child.stdout!.on('data', (bytes: Buffer) => {
    length += bytes.length;
    if (length > MOST_SNAPSHOT) child.kill('SIGKILL');
    else pieces.push(bytes);
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_TIME);
  const { code, signal: name } = await ended;
  clearTimeout(timer);
  if (code !== 0) throw unavailable(`no snapshot: ${complaint()} (ended with ${code ?? name})`);
  return Buffer.concat(pieces, length);
}

function unavailable(said: string): SandboxUnavailableError {
  return new SandboxUnavailableError(
    `pyodide: ${said.slice(0, 500)} – Deno or Pyodide did not start. What helps: npm ci with its optional packages, on a system with glibc; or set SANDBOX_DRIVER=none.`,
  );
}
