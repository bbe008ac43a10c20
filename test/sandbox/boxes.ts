import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { chooseSandbox } from '../../src/sandbox/choose.ts';
import type { LimitOptions } from '../../src/sandbox/limits.ts';
import { processTree } from '../../src/sandbox/process-tree.ts';
import {
  type Driver,
  type Result,
  type Sandbox,
  SandboxUnavailableError,
  type Session,
} from '../../src/sandbox/sandbox.ts';
import { waitFor } from '../server/wait-for.ts';

/** Kept between files: the memory snapshot is made once for each version. */
export const CACHE = join(tmpdir(), 'skein-sandbox-tests');

/** Boxes leave the processor to everybody else: on a busy machine they take their time. It ends what hangs. */
export const PATIENT = { timeout: 240_000 } as const;

export function openSandbox(driver: Driver, limits: LimitOptions = {}): Promise<Sandbox> {
  return openWith({ driver, limits: { ...limits, sessions: { warm: 0, ...limits.sessions } } });
}

async function openWith(options: { driver: Driver; limits: LimitOptions }): Promise<Sandbox> {
  const onProblem = (problem: unknown): void => {
    throw new Error('the sandbox has a problem', { cause: problem });
  };
  const sandbox = await chooseSandbox({ ...options, cacheDir: CACHE, onProblem });
  return sandbox!;
}

/** Null where this machine cannot have it and need not; the reason is printed. */
export async function bubblewrapHere(): Promise<string | null> {
  try {
    const sandbox = await openSandbox('bubblewrap');
    await sandbox.close();
    return null;
  } catch (error) {
    if (!(error instanceof SandboxUnavailableError) || process.env.REQUIRE_BUBBLEWRAP === '1') throw error;
    console.log(`\n*** bubblewrap is not tested: ${error.message}\n`);
    return error.message;
  }
}

/** A call behind this one meets a runner that cannot listen, from its first moment and however slow the machine is. */
export const DEAFEN = 'import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal = lambda *ignored: None';

let keys = 0;

/** A session of its own, closed afterwards. */
export async function inSession<T>(sandbox: Sandbox, work: (session: Session) => Promise<T>): Promise<T> {
  keys += 1;
  const session = await sandbox.open({ key: `key-${keys}`, project: `project-${keys}` });
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** The logs of code that must run to its end. */
export async function run(session: Session, code: string): Promise<string> {
  const result = await session.execute(code);
  if (result.status !== 'ok') throw new Error(`${result.status}: ${result.notice ?? ''}\n${result.logs}`);
  return result.logs;
}

export interface ProcessSeen {
  pid: number;
  /** When it began, by the kernel's clock: numbers are given again. */
  began: string;
}

/** Processes that descend from `root`, without it; those that have ended and only wait to be counted are left out. */
export function processesOf(root = process.pid): ProcessSeen[] {
  return processTree(root)
    .filter((pid) => pid !== root)
    .flatMap((pid) => {
      const began = aliveSince(pid);
      return began === null ? [] : [{ pid, began }];
    });
}

/** Null when it has ended. */
function aliveSince(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19]!;
  } catch {
    return null;
  }
}

/** Clock ticks that these processes have used. */
export function ticks(pids: readonly { pid: number }[]): number {
  return pids.reduce((sum, { pid }) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return sum + Number(user) + Number(system);
  }, 0);
}

/** Waits until none of these lives, for at most a second. */
export async function allGone(seen: readonly ProcessSeen[]): Promise<void> {
  await waitFor('the end of every process', () => seen.every(({ pid, began }) => aliveSince(pid) !== began), 1000);
}

/** What is new since, without the tools that the test runner starts for itself. */
export function newSince(before: readonly ProcessSeen[]): ProcessSeen[] {
  const known = new Set(before.map(({ pid, began }) => `${pid} ${began}`));
  return processesOf().filter(({ pid, began }) => !known.has(`${pid} ${began}`));
}

/**
 * The longest time, in milliseconds, that the event loop did not come round during `work`, as far as this process had the
 * processor meanwhile: what others take from it on a busy machine is none of its own.
 */
export async function longestStall<T>(work: () => Promise<T>): Promise<{ value: T; stall: number }> {
  const used = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  let last = { at: performance.now(), cpu: used() };
  let stall = 0;
  const look = (): void => {
    const now = { at: performance.now(), cpu: used() };
    stall = Math.max(stall, Math.min(now.at - last.at, now.cpu - last.cpu));
    last = now;
  };
  const timer = setInterval(look, 1);
  try {
    const value = await work();
    look();
    return { value, stall: Math.round(stall) };
  } finally {
    clearInterval(timer);
  }
}

export function summary({ status, lost, usage, notice, logs }: Result): string {
  return JSON.stringify({ status, lost, wallMs: usage.wallMs, notice, logs: logs.slice(-300) });
}
