import type { BoxLimits } from '../limits.ts';

const KIB = 1024;
const WASM_PAGE = 64 * KIB;
/** Bytes of data that the program maps before it runs anything; less, and it does not start. */
const BASELINE = 1280 * KIB * KIB;
/** MiB for what is JavaScript in it. */
const HEAP_MIB = 256;
const OPEN_FILES = 64;

/** What the process may: read one folder that holds nothing but its own program. No network, no writes, no environment. */
export function denoArguments(folder: string, limits: BoxLimits): string[] {
  const pages = Math.floor(limits.memoryBytes / WASM_PAGE);
  return [
    'run',
    '--no-prompt',
    '--no-remote',
    '--no-npm',
    '--no-config',
    '--no-lock',
    '--cached-only',
    '--no-code-cache',
    '--quiet',
    `--allow-read=${folder}`,
    `--v8-flags=--wasm-max-mem-pages=${pages},--max-old-space-size=${HEAP_MIB}`,
  ];
}

/** A folder that cannot exist: caches would be kept in it, which needs no permission and which other sessions could read. */
export const DENO_ENVIRONMENT = { DENO_DIR: '/dev/null/x' } as const;

export interface Command {
  program: string;
  args: string[];
}

/**
 * Limits of the kernel under those of Deno. One option for each `ulimit`: dash takes no two, and what fails ends the start.
 * The last two are kernel features of Linux: the process dies with the host, and gains nothing by what it executes.
 */
export function limited(command: Command, limits: BoxLimits, options: { ownUser: boolean; setpriv: boolean }): Command {
  if (process.platform === 'win32') return command;
  const set = [
    `ulimit -d ${Math.ceil((BASELINE + limits.memoryBytes) / KIB)}`,
    'ulimit -f 0',
    'ulimit -c 0',
    `ulimit -n ${OPEN_FILES}`,
    `ulimit -t ${Math.ceil(limits.cpuMs / 1000)}`,
    // The kernel counts by user: with others of the host's about, it would be their limit as well.
    ...(options.ownUser ? [`ulimit -u ${limits.processes} 2>/dev/null || ulimit -p ${limits.processes}`] : []),
  ];
  const prefix = options.setpriv ? ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--'] : [];
  return {
    program: '/bin/sh',
    args: ['-c', `set -e; ${set.join('; ')}; exec "$0" "$@"`, ...prefix, command.program, ...command.args],
  };
}
