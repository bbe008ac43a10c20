import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Measure } from './body.ts';

/** Linux counts processor time in these, whatever the kernel's own clock is. */
const TICKS_PER_SECOND = 100;
const PAGE = 4096;

/**
 * A process and all that descend from it, as the kernel knows them now. Inside of a pid namespace nobody can leave the
 * tree: orphans become children of its first process.
 */
export function processTree(root: number): number[] {
  const found: number[] = [];
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    found.push(pid);
    for (const thread of orNone(() => readdirSync(`/proc/${pid}/task`))) {
      const children = orNone(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' '));
      for (const child of children) if (child !== '') waiting.push(Number(child));
    }
  }
  return found;
}

/** Ended in the meantime: the commonest thing that a process in /proc can do. */
function orNone(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** Milliseconds of processor time: a process, and the children that it has waited for. */
function cpuOf(pid: number): number {
  const [stat] = orNone(() => [readFileSync(`/proc/${pid}/stat`, 'latin1')]);
  if (stat === undefined) return 0;
  // The second field is a name of the process's own choice, in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

function residentOf(pid: number): number {
  const [statm] = orNone(() => [readFileSync(`/proc/${pid}/statm`, 'latin1')]);
  return statm === undefined ? 0 : Number(statm.split(' ')[1]) * PAGE;
}

/** Bytes, with what is shared counted in parts. Dear: the kernel walks every page. */
export async function proportionalMemory(pids: readonly number[]): Promise<number> {
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      try {
        const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'latin1');
        return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
      } catch {
        // Ended in the meantime.
        return 0;
      }
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** What a tree of processes takes. Memory is exact only from `careful` bytes on; below, it is an upper bound. */
export async function measureTree(root: number, careful: number): Promise<Measure> {
  const pids = processTree(root);
  const resident = pids.reduce((sum, pid) => sum + residentOf(pid), 0);
  const cpuMs = pids.reduce((sum, pid) => sum + cpuOf(pid), 0);
  const memoryBytes = resident < careful ? resident : await proportionalMemory(pids);
  return { cpuMs, memoryBytes, processes: pids.length, files: null };
}

/**
 * Where the kernel shares the processor between sessions of processes (autogroups), a box is one, and as heavy as the whole
 * server however nice its processes are. Elsewhere their own niceness counts, and this does nothing.
 */
export function yieldProcessor(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, '10');
  } catch {
    // No autogroups here, or not ours to set. It is a kindness to the server and no wall.
  }
}

/** Sends a signal to what may have ended already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // EPERM: its number belongs to somebody else by now.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
