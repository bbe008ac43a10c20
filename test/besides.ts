import { join } from 'node:path';
import pg from 'pg';
import { openDatabase } from '../src/db/open-database.ts';
import { silent, type TestDatabase } from './database.ts';

/** A connection of its own to a database that a server is using, to look behind it or to break things. */
export function besides({ databaseUrl, dataDir }: TestDatabase): pg.Client {
  if (databaseUrl) return new pg.Client({ connectionString: databaseUrl });
  return new pg.Client({
    host: join(dataDir, 'sock'),
    port: 5432,
    user: 'postgres',
    database: 'postgres',
    password: '',
    ssl: false,
  });
}

/** Everything in a table, whether a server is using the database now or not. */
export async function rowsOf(database: TestDatabase, table: 'api_key'): Promise<Record<string, unknown>[]> {
  const client = besides(database);
  try {
    await client.connect();
  } catch {
    return rowsAtRest(database, table);
  }
  try {
    return (await client.query(`select * from ${table}`)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

async function rowsAtRest({ databaseUrl, dataDir }: TestDatabase, table: string): Promise<Record<string, unknown>[]> {
  const db = await openDatabase({ databaseUrl, dataDir, poolSize: 1, logger: silent });
  try {
    return await db.query({ name: `all-${table}`, text: `select * from ${table}`, values: [] });
  } finally {
    await db.close();
  }
}
