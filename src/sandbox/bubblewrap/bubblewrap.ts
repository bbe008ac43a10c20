import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { type FileHandle, open, readFile, statfs } from 'node:fs/promises';
import type { Duplex, Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { type Body, type BodyDriver, type BodyHooks, MOST_LINE } from '../body.ts';
import { type Children, createChildren } from '../children.ts';
import type { BoxLimits } from '../limits.ts';
import { readLines } from '../line-reader.ts';
import { measureTree, processTree, signal, yieldProcessor } from '../process-tree.ts';
import { SandboxUnavailableError } from '../sandbox.ts';
import { createUids } from '../uid-range.ts';
import { bubblewrapArguments, PIPES, PYTHON, WRITABLE } from './arguments.ts';
import { killStuckBoxes } from './stuck-boxes.ts';
import { seccompFilter } from './seccomp.ts';
import { withRemedy } from './remedies.ts';

/** Milliseconds from the start of the process to the runner's first word. */
const START_TIME = 60_000;
/** Bytes of what bubblewrap complains about. */
const MOST_COMPLAINT = 4096;
/** Looks at what the box takes, of which one counts the files too. */
const COUNT_FILES_EVERY = 4;
/** Milliseconds. What is killed has to have the processor once more, and it is the last to have it. */
const TIDY_TIME = 10_000;
const TIDY_EVERY = 5;
const PARENT_TIME = 500;

export interface BubblewrapOptions {
  limits: BoxLimits;
  /** Path of the program; the system's when there is none. */
  program?: string | undefined;
}

/** Its environment, in which a path would be looked up, is readable inside of the box and therefore empty. */
function systemProgram(): string {
  const paths = ['/usr/bin/bwrap', '/usr/local/bin/bwrap', '/bin/bwrap'];
  return paths.find((path) => existsSync(path)) ?? paths[0]!;
}

export async function createBubblewrapDriver({
  limits,
  program = systemProgram(),
}: BubblewrapOptions): Promise<BodyDriver> {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new SandboxUnavailableError(
      `bubblewrap: this is ${process.platform} on ${process.arch}, not Linux on x64 or arm64`,
    );
  }
  const read = (url: string): Promise<Buffer> => readFile(new URL(url, import.meta.url));
  const parts = {
    filter: seccompFilter(process.arch),
    runner: await read('./runner.py'),
    cell: await read('../python/skein_cell.py'),
  };
  const uids = createUids();
  const children = createChildren();
  let proc = true;
  // Those of hosts that were killed while they made one.
  killStuckBoxes(commandOf(program));

  async function launch(): Promise<Body> {
    const uid = uids.take();
    try {
      const body = await startBody({
        ...parts,
        children,
        program,
        uid,
        limits,
        args: bubblewrapArguments({ limits, proc }),
      });
      void body.exited.then(() => uids.giveBack(uid));
      return body;
    } catch (error) {
      uids.giveBack(uid);
      throw error;
    }
  }

  return {
    get isolation() {
      return [
        'Its own user, mount, pid, network, IPC and UTS namespaces (bubblewrap); of the host it sees /usr, read-only.',
        'No network but a loopback of its own, and no sockets but Unix ones inside of the box (seccomp).',
        `A filter of system calls (seccomp, ${process.arch}); no capabilities; no new privileges.`,
        process.getuid?.() === 0
          ? 'Each session runs as a user of its own.'
          : 'Sessions run as the user of the server, in namespaces of their own.',
        'Limits of memory, processes, files and processor time, watched by the host.',
        ...(proc ? [] : ['No /proc inside: the container around the server masks it.']),
      ];
    },
    async start() {
      try {
        return await launch();
      } catch (error) {
        if (!proc || !(error instanceof SandboxUnavailableError) || !/mount proc/.test(error.message)) throw error;
        proc = false;
        return await launch();
      }
    },
    close: children.close,
  };
}

interface Parts {
  filter: Buffer;
  runner: Buffer;
  cell: Buffer;
  children: Children;
  program: string;
  uid: number | null;
  limits: BoxLimits;
  args: string[];
}

function commandOf(program: string): string[] {
  return [program, '--args', String(PIPES.args), ...PYTHON];
}

async function startBody(parts: Parts): Promise<Body> {
  const { filter, runner, cell, program, uid, limits } = parts;
  const command = commandOf(program);
  const child = spawn(program, command.slice(1), {
    stdio: ['ignore', ...Array.from({ length: 9 }, () => 'pipe' as const)],
    cwd: '/',
    env: {},
    // A Ctrl-C in the host's terminal is not for the box.
    detached: true,
    ...(uid === null ? {} : { uid, gid: uid }),
  });
  const pipe = (fd: number): Duplex => child.stdio[fd] as Duplex;
  // What the box does not read when it ends is no news: its end is.
  for (const fd of [1, 2, ...Object.values(PIPES)]) pipe(fd)?.on('error', () => {});
  let started = false;
  child.once('exit', (_, name) => {
    if (started || name === null) return;
    // It was killed while it made the box. What there is of it either waits for ever, or goes on until it finds its pipes
    // shut, before anybody's code.
    killStuckBoxes(command);
    for (const stream of child.stdio) stream?.destroy();
  });
  const exited = parts.children.add(child);
  const complaint = gather(pipe(2), MOST_COMPLAINT);
  const failed = exited.then((exit) => {
    const said = complaint();
    throw withRemedy(exit.error, said || `it ended with ${exit.code ?? exit.signal}`);
  });
  if (child.pid === undefined) return await failed;

  for (const [fd, bytes] of [
    [PIPES.args, Buffer.from(parts.args.map((arg) => `${arg}\0`).join(''))],
    [PIPES.seccomp, filter],
    [PIPES.runner, runner],
    [PIPES.cell, cell],
  ] as const) {
    pipe(fd).end(bytes);
  }

  let hooks: BodyHooks | null = null;
  const { promise: said, resolve: onReady } = Promise.withResolvers<string>();
  pipe(1).on('data', (bytes: Buffer) => hooks?.logs(bytes));
  readLines(pipe(PIPES.answers), MOST_LINE, {
    line(text) {
      if (hooks) return hooks.line(text);
      onReady(text);
      return true;
    },
    tooLong: () => (hooks ? hooks.broken() : child.kill('SIGKILL')),
  });
  const control = pipe(PIPES.control);
  const { memoryBytes: data, processes, openFiles, fileBytes, dataBytes, cpuMs } = limits;
  const fileSize = Math.max(fileBytes, dataBytes);
  control.write(line({ limits: { data, processes, openFiles, fileSize, cpuSeconds: Math.ceil(cpuMs / 1000) } }));

  const timer = globalThis.setTimeout(() => child.kill('SIGKILL'), START_TIME);
  let init: number;
  let ready: { ready?: unknown };
  try {
    init = await Promise.race([childPid(pipe(PIPES.info)), failed]);
    ready = JSON.parse(await Promise.race([said, failed])) as { ready?: unknown };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
  failed.catch(() => {});
  // Nobody's code has run yet: the one child of the first process is the runner.
  const main = processTree(init)[1];
  if (main === undefined) {
    child.kill('SIGKILL');
    throw withRemedy(null, 'the runner could not be found among the processes');
  }
  started = true;
  yieldProcessor(main);
  let looks = 0;
  let ended = false;
  void exited.then(() => (ended = true));
  const toAll = (name: NodeJS.Signals): void => {
    if (!ended) for (const pid of processTree(init)) if (pid !== init) signal(pid, name);
  };
  const kill = (): void => {
    if (ended) return;
    // The first process of a pid namespace takes all others with it. Its parent counts it and ends by itself: killed
    // together, it would be left to the first process of the machine, which in a container may be this one.
    signal(init, 'SIGKILL');
    globalThis.setTimeout(() => ended || child.kill('SIGKILL'), PARENT_TIME).unref();
  };
  parts.children.endWith(child, kill);
  return {
    python: String(ready.ready),
    marks: true,
    listen: (set) => void (hooks = set),
    send: (message) => write(control, line(message)),
    interrupt: () => toAll('SIGINT'),
    freeze: () => toAll('SIGSTOP'),
    thaw: () => toAll('SIGCONT'),
    kill,
    exited,
    async measure() {
      if (ended) return null;
      const seen = await measureTree(init, limits.memoryBytes / 2);
      looks += 1;
      return looks % COUNT_FILES_EVERY === 0 ? { ...seen, files: await countFiles(init) } : seen;
    },
    async tidy() {
      const others = (): number[] => processTree(init).filter((pid) => pid !== init && pid !== main && !isZombie(pid));
      if (others().length === 0) return true;
      // What does not run cannot breed.
      signal(main, 'SIGSTOP');
      const until = performance.now() + TIDY_TIME;
      while (!ended && performance.now() < until) {
        const left = others();
        if (left.length === 0) return true;
        for (const pid of left) signal(pid, 'SIGSTOP');
        for (const pid of left) signal(pid, 'SIGKILL');
        await setTimeout(TIDY_EVERY);
      }
      return false;
    },
  };
}

/** A child of the stopped runner stays until the runner wakes and asks for it; it does nothing any more. */
function isZombie(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    // Gone altogether.
    return true;
  }
}

function gather(stream: Readable, most: number): () => string {
  let text = '';
  stream.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString('utf8')).slice(0, most);
  });
  return () => text.trim();
}

/** The number, on the host, of the first process of the box. The JSON may come in pieces. */
function childPid(info: Readable): Promise<number> {
  let text = '';
  return new Promise((resolve) => {
    info.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
      if (!text.includes('}')) return;
      resolve((JSON.parse(text) as { 'child-pid': number })['child-pid']);
    });
  });
}

/** Files on what can be written. No path of the box's making is followed: these are mount points that it cannot move. */
async function countFiles(init: number): Promise<number | null> {
  let root: FileHandle | null = null;
  try {
    root = await open(`/proc/${init}/root`, 'r');
    const counts = await Promise.all(
      WRITABLE.map(async (path) => {
        const { files, ffree } = await statfs(`/proc/${init}/root${path}`);
        return files - ffree;
      }),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  } catch {
    // It ended in the meantime, or the kernel lets nobody look; memory and time stay watched.
    return null;
  } finally {
    await root?.close();
  }
}

function line(message: object): string {
  return `${JSON.stringify(message)}\n`;
}

function write(stream: Duplex, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
