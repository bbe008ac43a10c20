import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { signal } from '../process-tree.ts';

/**
 * Boxes that were abandoned at birth. bubblewrap's child waits for its parent to map its user; a parent that is killed in
 * that moment leaves it waiting for ever. It has run nobody's code, but it holds the host's pipes, and so their end.
 * It is told from living boxes by its user namespace, which is neither ours nor that of its parent, and by its parent,
 * which is no bubblewrap.
 */
export function stuckBoxes(command: readonly string[]): number[] {
  const wanted = command.map((part) => `${part}\0`).join('');
  const isBox = (pid: string): boolean => read(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1')) === wanted;
  const namespaceOf = (pid: string): string | null => read(() => readlinkSync(`/proc/${pid}/ns/user`));
  const ours = namespaceOf('self');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isBox(name))
    .filter((pid) => {
      const status = read(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? '';
      const parent = /^PPid:\s+(\d+)/m.exec(status)?.[1];
      const own = namespaceOf(pid);
      // A parent of number 0 is outside of what can be seen here, and so not one of ours.
      if (parent === undefined || parent === '0' || own === null) return false;
      return own !== ours && own !== namespaceOf(parent) && !isBox(parent);
    })
    .map(Number);
}

export function killStuckBoxes(command: readonly string[]): void {
  for (const pid of stuckBoxes(command)) signal(pid, 'SIGKILL');
}

/** Null for what has ended, or is not ours to see. */
function read(look: () => string): string | null {
  try {
    return look();
  } catch {
    return null;
  }
}
