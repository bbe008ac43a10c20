import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export const ROOT = join(import.meta.dirname, '../..');

/** A project of somebody else's, in a folder of its own. */
export interface FreshProject {
  readonly folder: string;
  write(files: Record<string, string | object>): Promise<void>;
  /** Gives it packages of ours, as they are: the registry is slow, and not always there. */
  link(...packages: string[]): Promise<void>;
  /** Runs a command of a package, or a program, in its folder. */
  run(command: readonly [string, ...string[]], environment?: Record<string, string>): Promise<Ran>;
  remove(): Promise<void>;
}

export interface Ran {
  code: number | null;
  /** What it wrote to stdout and stderr, without colours. */
  output: string;
}

export async function freshProject(): Promise<FreshProject> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-project-'));
  const modules = join(folder, 'node_modules');
  return {
    folder,
    async write(files) {
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, name);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
      }
    },
    async link(...packages) {
      for (const name of packages) {
        await mkdir(dirname(join(modules, name)), { recursive: true });
        await symlink(join(ROOT, 'node_modules', name), join(modules, name));
      }
    },
    run: ([program, ...args], environment) => run(program, args, folder, environment),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function run(program: string, args: string[], cwd: string, environment: Record<string, string> = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const { PATH, HOME, TMPDIR } = process.env;
    const child = spawn(program, args, {
      cwd,
      env: { PATH, HOME, TMPDIR, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (output += part));
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** A command of a package of ours, for `run`. */
export const ours = (path: string, ...args: string[]): [string, ...string[]] => [
  process.execPath,
  join(ROOT, 'node_modules', path),
  ...args,
];

export const tsc = (...args: string[]) => ours('typescript/bin/tsc', ...args);
export const vite = (...args: string[]) => ours('vite/bin/vite.js', ...args);
export const codegen = (...args: string[]) => ours('@graphql-codegen/cli/esm/bin.js', ...args);

/** npm as it runs this, or the one on the path. */
export const npm = (...args: string[]): [string, ...string[]] => {
  const script = process.env.npm_execpath;
  return script && /\.c?js$/.test(script) ? [process.execPath, script, ...args] : ['npm', ...args];
};
