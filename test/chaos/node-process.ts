import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A server whose hosted tools ask the tool server at its TOOL_URL. */
const MAIN = join(import.meta.dirname, '../engine/scripted-main.ts');

/** A server in a process of its own, to be killed. */
export interface NodeProcess {
  readonly url: string;
  /** Settled when it is gone: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  kill(): Promise<void>;
}

/** Resolves when it listens. `onLine` hears everything else that it writes to stdout, which is its log. */
export async function startNodeProcess(
  environment: Record<string, string>,
  onLine: (line: string) => void,
): Promise<NodeProcess> {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, PORT: '0', SANDBOX_DRIVER: 'none', ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout })
      .on('line', (line) => {
        const found = /^Skein (?:listens on|works; it answers) (http:\/\/[^\s/]+)/.exec(line)?.[1];
        if (found) resolve(found);
        else onLine(line);
      })
      .on('close', () => reject(new Error(`it ended without having listened (${child.exitCode ?? child.signalCode})`)));
  });
  return {
    url,
    ended,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
