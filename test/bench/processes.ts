import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A process under measurement. */
export interface Running {
  readonly pid: number;
  /** What it printed when it was ready. */
  readonly banner: string;
  stop(): Promise<void>;
}

/** Starts a script and waits until it has printed what `ready` looks for. */
export async function run(
  script: string,
  args: string[],
  environment: Record<string, string>,
  ready: RegExp,
): Promise<Running> {
  const child: ChildProcess = spawn(process.execPath, [script, ...args], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (ready.test(output)) resolve();
    });
    void exited.then(() => reject(new Error(`${script} ended before it was ready:\n${output}`)));
  });
  return {
    pid: child.pid!,
    get banner() {
      return output;
    },
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

const TICKS_PER_SECOND = 100;

/** CPU milliseconds that a process has used so far, user and system. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** The same of the processes that a process has started and that still run. */
export function childrenCpuMs(pid: number): number {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter(Boolean)
    .reduce((sum, child) => sum + cpuMs(Number(child)) + childrenCpuMs(Number(child)), 0);
}

/** The same of PostgreSQL: its processes for our databases and those that write for all, but nobody else's. */
export function postgresCpuMs(): number {
  let sum = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const title = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (/^postgres:.*(skein_bench|walwriter|checkpointer|background writer)/.test(title)) sum += cpuMs(Number(name));
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code!)) throw error; // it ended meanwhile
    }
  }
  return sum;
}

export function rssMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}
