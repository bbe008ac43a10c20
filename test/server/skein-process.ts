import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { TestDatabase } from '../database.ts';
import { waitFor } from './wait-for.ts';

const ROOT = join(import.meta.dirname, '..', '..');

export interface SkeinProcess {
  pid: number;
  url: string;
  /** The link that it prints. */
  link: string;
  /** Everything that it wrote to stdout and stderr. */
  output(): string;
  /** The lines of its log. */
  log(): Record<string, unknown>[];
  ended: Promise<{ code: number | null; signal: string | null }>;
  kill(signal?: NodeJS.Signals): void;
}

/** `npm start` without npm: a server in a process of its own. */
export async function startProcess(
  database: TestDatabase,
  environment: Record<string, string> = {},
): Promise<SkeinProcess> {
  const { output, child, ended } = spawnMain({
    DATA_DIR: database.dataDir,
    ...(database.databaseUrl ? { DATABASE_URL: database.databaseUrl } : {}),
    ...environment,
  });
  let isOver = false;
  void ended.then(() => (isOver = true));
  const link = await waitFor(
    'the link',
    () => {
      if (isOver) throw new Error(`the server ended:\n${output()}`);
      return /^The playground.*: (\S+)$/m.exec(output())?.[1];
    },
    90_000,
  );
  return {
    pid: child.pid!,
    url: new URL(link).origin,
    link,
    output,
    log: () =>
      output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    ended,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
  };
}

export function spawnMain(environment: Record<string, string>) {
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(process.execPath, ['src/main.ts'], {
    cwd: ROOT,
    env: { PATH, HOME, TMPDIR, PORT: '0', SANDBOX_DRIVER: 'none', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  return { child, ended, output: () => text };
}
