import { SandboxUnavailableError } from '../sandbox.ts';

const PACKAGES = 'apt-get install bubblewrap python3 python3-numpy python3-pandas python3-matplotlib python3-openpyxl';
const OTHERWISE = 'or set SANDBOX_DRIVER=pyodide, which needs nothing of the system but has no pandas and no plots';
const HOST =
  `let the system make user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu 24.04 and later an
AppArmor profile for bwrap, or sysctl kernel.apparmor_restrict_unprivileged_userns=0)`.replaceAll('\n', ' ');
const CONTAINER = `in a container, run it with a seccomp profile that lets namespaces be made and with
--security-opt systempaths=unconfined`.replaceAll('\n', ' ');

const CAUSES: readonly { sign: RegExp; cause: string; remedy: string }[] = [
  {
    sign: /ENOENT|No such file or directory.*python3|execvp/i,
    cause: 'bubblewrap or /usr/bin/python3 is not installed',
    remedy: PACKAGES,
  },
  {
    sign: /Unknown option/,
    cause: 'this bubblewrap is older than 0.8',
    remedy: 'install bubblewrap 0.8 or newer',
  },
  {
    sign: /nesting depth or .*exceeded|ENOSPC/,
    cause: 'the system allows no more user namespaces',
    remedy: 'raise sysctl user.max_user_namespaces',
  },
  {
    sign: /No permissions to create new? ?namespace|Creating new namespace failed|uid map|Operation not permitted/,
    cause: 'the system or the container around the server does not let it make namespaces',
    remedy: `${HOST}; ${CONTAINER}`,
  },
];

/** What bubblewrap said, what it means, and what can be done. */
export function withRemedy(error: NodeJS.ErrnoException | null, said: string): SandboxUnavailableError {
  const first = (error?.message ?? said).split('\n')[0]!.slice(0, 500);
  const known = CAUSES.find(({ sign }) => sign.test(error ? `${error.code} ${error.message}` : said));
  const cause = known ? `${known.cause}.` : 'The cause is not known.';
  const remedy = known ? `${known.remedy}; ${OTHERWISE}` : `${HOST}; ${CONTAINER}; ${OTHERWISE}`;
  return new SandboxUnavailableError(`bubblewrap: ${first} – ${cause} What helps: ${remedy}.`, {
    cause: error ?? undefined,
  });
}
