import type { ChildProcess } from 'node:child_process';
import type { Exit } from './body.ts';

/** The processes that a driver has started, so that none outlives it, not even one that is only starting. */
export interface Children {
  /** Resolves when the process has ended and everything that it wrote was read. */
  add(child: ChildProcess): Promise<Ended>;
  /** Another way to end it than to kill the process itself. */
  endWith(child: ChildProcess, kill: () => void): void;
  close(): Promise<void>;
}

export interface Ended extends Exit {
  /** It was never started. */
  error: NodeJS.ErrnoException | null;
}

export function createChildren(): Children {
  const all = new Map<ChildProcess, { ended: Promise<Ended>; kill: () => void }>();
  let closed = false;
  return {
    add(child) {
      const ended = new Promise<Ended>((resolve) => {
        child.once('error', (error) => {
          if (child.pid === undefined) resolve({ code: null, signal: null, error });
        });
        // Not `exit`: what was written last has to be read first.
        child.once('close', (code, signal) => resolve({ code, signal, error: null }));
      });
      all.set(child, { ended, kill: () => child.kill('SIGKILL') });
      void ended.then(() => all.delete(child));
      if (closed) child.kill('SIGKILL');
      return ended;
    },
    endWith(child, kill) {
      const entry = all.get(child);
      if (entry) entry.kill = kill;
      if (closed) kill();
    },
    async close() {
      closed = true;
      const entries = [...all.values()];
      for (const { kill } of entries) kill();
      await Promise.all(entries.map(({ ended }) => ended));
    },
  };
}
