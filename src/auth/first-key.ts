import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';
import type { Keys } from './keys.ts';

export interface FirstKey {
  /** A key with all scopes, as long as this process knows one. */
  key: string | null;
  /** Where the first key was written, when this start has made it. */
  newKeyFile: string | null;
}

/** Makes the first key of an empty database, and keeps it in the data folder for its operator alone. */
export async function openFirstKey(options: {
  db: Db;
  keys: Keys;
  dataDir: string;
  bootstrap: string | null;
  logger: Logger;
}): Promise<FirstKey> {
  const { db, keys, dataDir, bootstrap, logger } = options;
  const { made, secret } = await ensureFirst(db, keys, bootstrap);
  const file = join(dataDir, 'api-key');
  const newKeyFile = made && !bootstrap ? file : null;
  if (newKeyFile) keep(secret!, newKeyFile);
  return { key: await usable(keys, secret ?? keptKey(file), logger), newKeyFile };
}

/** Processes that start at the same time on an empty database take turns: one makes the key. */
async function ensureFirst(db: Db, keys: Keys, bootstrap: string | null): Promise<{ secret: string | null; made: boolean }> {
  // It has one session: who waits for it inside of a transaction waits for ever.
  const first = db.embedded
    ? await keys.ensureFirst(bootstrap)
    : await db.tx(async (tx) => {
        await tx.query({
          name: 'first-key',
          text: "select pg_advisory_xact_lock(hashtext('skein first key'))",
          values: [],
        });
        return keys.ensureFirst(bootstrap);
      });
  return first ?? { secret: null, made: false };
}

function keep(secret: string, file: string): void {
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  // The mode above is for a new file; one that was there keeps its own.
  chmodSync(file, 0o600);
}

const keptKey = (file: string): string | null => (existsSync(file) ? readFileSync(file, 'utf8').trim() : null);

/** The key, unless it was revoked since, or belongs to another database. */
async function usable(keys: Keys, key: string | null, logger: Logger): Promise<string | null> {
  if (key === null || (await keys.authenticate(key))) return key;
  logger.warn('the key that is kept in DATA_DIR is no longer good; SKEIN_BOOTSTRAP_KEY sets another');
  return null;
}
