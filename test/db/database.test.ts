import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TEST_DATABASE_URL, testDatabase } from '../database.ts';
import { databaseContract } from './database-contract.ts';

databaseContract('the embedded database', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'skein-test-'));
  return { databaseUrl: null, dataDir, dispose: () => rm(dataDir, { recursive: true, force: true }) };
});

if (TEST_DATABASE_URL) databaseContract('a PostgreSQL server', testDatabase);
