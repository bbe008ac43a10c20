import { join } from 'node:path';
import { pino } from 'pino';
import { createDb, type Db } from '../../src/db/db.ts';
import type { TestSkein } from '../skein.ts';

/** A way of our own to a server's database, embedded or not, for tests that put a part together themselves. */
export function connect({ database: { databaseUrl, dataDir } }: TestSkein): Db {
  const socket = { host: join(dataDir, 'sock'), port: 5432, user: 'postgres', database: 'postgres', password: '', ssl: false };
  const connection = databaseUrl ? { connectionString: databaseUrl } : socket;
  return createDb({ connection, embedded: databaseUrl === null, poolSize: 1, logger: pino({ level: 'silent' }) });
}
