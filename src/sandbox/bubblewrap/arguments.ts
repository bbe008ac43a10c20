import type { BoxLimits } from '../limits.ts';

/** What the program inside is started with; -I: nothing of the environment or of the folder it stands in is loaded. */
export const PYTHON = ['/usr/bin/python3', '-I', '-B', '-X', 'utf8', '/opt/skein/runner.py'] as const;

/** Numbers of the inherited pipes, 0 to 2 aside. */
export const PIPES = { control: 3, answers: 4, args: 5, seccomp: 6, info: 7, runner: 8, cell: 9 } as const;

/** Where the code can write, and how much (bytes); `count` is asked for how many files there are. */
export const WRITABLE = ['/mnt/data', '/tmp', '/home/user', '/dev/shm'] as const;
const HOME_BYTES = 16 * 1024 * 1024;
const SHM_BYTES = 1024 * 1024;

export interface ArgumentOptions {
  limits: BoxLimits;
  /** A container that masks parts of /proc does not let another one be mounted. */
  proc: boolean;
}

/**
 * The arguments of bubblewrap. They are handed over through a pipe: what stands on the command line can be read inside.
 * Nothing of the host is in the box but /usr, and of /etc three folders without secrets.
 */
export function bubblewrapArguments({ limits, proc }: ArgumentOptions): string[] {
  const environment: Record<string, string> = {
    HOME: '/home/user',
    PATH: '/usr/bin',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    MPLBACKEND: 'Agg',
    MPLCONFIGDIR: '/home/user/.matplotlib',
    // A thread for each core would make every box pay for the size of the machine.
    OPENBLAS_NUM_THREADS: '1',
    OMP_NUM_THREADS: '1',
  };
  const tmpfs = (bytes: number, path: string): string[] => ['--size', String(bytes), '--tmpfs', path];
  return [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--uid', '1000', '--gid', '1000'],
    ...['--die-with-parent', '--new-session', '--hostname', 'sandbox', '--clearenv', '--cap-drop', 'ALL'],
    ...['--ro-bind', '/usr', '/usr', '--tmpfs', '/usr/local', '--remount-ro', '/usr/local'],
    ...['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ...['alternatives', 'fonts', 'matplotlibrc'].flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
    ...(proc ? ['--proc', '/proc'] : ['--dir', '/proc']),
    // Its /dev is a tmpfs without a limit.
    ...['--dev', '/dev', ...tmpfs(SHM_BYTES, '/dev/shm'), '--remount-ro', '/dev'],
    ...tmpfs(limits.tmpBytes, '/tmp'),
    ...tmpfs(limits.dataBytes, '/mnt/data'),
    ...tmpfs(HOME_BYTES, '/home/user'),
    ...['--ro-bind-data', String(PIPES.runner), '/opt/skein/runner.py'],
    ...['--ro-bind-data', String(PIPES.cell), '/opt/skein/skein_cell.py'],
    ...['--remount-ro', '/', '--chdir', '/mnt/data'],
    ...Object.entries(environment).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--seccomp', String(PIPES.seccomp), '--info-fd', String(PIPES.info)],
  ];
}
