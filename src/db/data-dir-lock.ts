import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';

/** Who holds a data folder: for people to read, and for the next holder to tidy up after. Decides nothing. */
const Holder = z.object({
  pid: z.number(),
  host: z.string(),
  since: z.string(),
  temporaryFolder: z.string().nullable(),
});
export type Holder = z.infer<typeof Holder>;

export interface DataDirLock {
  /** The holder before this one, when it did not get to release the lock. */
  readonly previous: Holder | null;
  describe(temporaryFolder: string | null): void;
  release(): void;
}

/** Open handles of this process. Losing the last reference to one would close it, and with it drop the lock. */
const held = new Set<DatabaseSync>();

/**
 * Makes this process the only user of a data folder. The lock is the kernel's lock on a file, by way of SQLite since
 * Node has none of its own: it ends with the process, however that ends, so there is no stale lock to judge by a pid.
 */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true });
  const holderPath = join(dataDir, 'holder.json');
  const file = new DatabaseSync(join(dataDir, 'lock'), { timeout: 0 });
  try {
    // IMMEDIATE, not EXCLUSIVE: of two that ask at the same instant exactly one gets the reserved lock, while for the
    // exclusive one each could stand in the other's way.
    file.exec('begin immediate');
  } catch (error) {
    file.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY)
      throw new Error(refusal(dataDir, readHolder(holderPath)));
    throw new Error(`The data folder ${dataDir} cannot be locked: ${(error as Error).message}`, { cause: error });
  }
  held.add(file);
  const describe = (holder: Holder) => writeFileSync(holderPath, `${JSON.stringify(holder)}\n`);
  const previous = readHolder(holderPath);
  const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), temporaryFolder: null };
  describe(holder);
  return {
    previous,
    describe: (temporaryFolder) => describe({ ...holder, temporaryFolder }),
    release() {
      rmSync(holderPath, { force: true });
      file.close();
      held.delete(file);
    },
  };
}

const SQLITE_BUSY = 5;

function refusal(dataDir: string, holder: Holder | null): string {
  const who = holder ? ` (process ${holder.pid} on ${holder.host}, since ${holder.since})` : '';
  return (
    `The data folder ${dataDir} is in use by another Skein${who}, and the embedded database serves one process. ` +
    'Stop that one, or give this one a DATA_DIR of its own, or set DATABASE_URL to a PostgreSQL server, which both can use.'
  );
}

/** Null when there is none, or when it is being written or was cut off: it is only a description. */
function readHolder(path: string): Holder | null {
  try {
    return Holder.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return null;
  }
}
