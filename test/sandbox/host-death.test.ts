import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Driver } from '../../src/sandbox/sandbox.ts';
import { allGone, bubblewrapHere, processesOf } from './boxes.ts';

const drivers: Driver[] = (await bubblewrapHere()) === null ? ['pyodide', 'bubblewrap'] : ['pyodide'];

for (const driver of drivers) {
  it(`leaves no ${driver} box behind when the host is killed`, async () => {
    const host: ChildProcess = fork(join(import.meta.dirname, 'host.ts'), [driver], { execArgv: [] });
    try {
      await once(host, 'message');
      const boxes = processesOf(host.pid!);
      // The one in the pool may only be starting.
      expect(boxes.length).toBeGreaterThanOrEqual(driver === 'bubblewrap' ? 12 : 2);
      host.kill('SIGKILL');
      await once(host, 'exit');
      await allGone(boxes);
    } finally {
      host.kill('SIGKILL');
    }
  }, 240_000);
}
