import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import { MIGRATIONS, migrate } from '../src/db/migrate.ts';

export interface TestDatabase {
  /** null = embedded, in `dataDir`. */
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  dispose(): Promise<void>;
}

/** The PostgreSQL server that the tests use; without one they use the embedded database. */
export const TEST_DATABASE_URL = process.env.TEST_DATABASE_URL || null;

export const silent = pino({ level: 'silent' });

/** A database of its own, up to date. Close what uses it before `dispose`. */
export async function testDatabase(): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), 'skein-test-'));
  const server = TEST_DATABASE_URL ? await serverDatabase(await template(TEST_DATABASE_URL)) : null;
  return {
    databaseUrl: server?.url ?? null,
    dataDir,
    async dispose() {
      await server?.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** An empty database on the test server, or a copy of another. */
export async function serverDatabase(copyOf = 'template1'): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `skein_test_${randomBytes(6).toString('hex')}`;
  await onServer((client) => client.query(`create database ${name} template ${copyOf}`));
  return {
    url: urlOf(name),
    drop: () => onServer((client) => client.query(`drop database ${name} with (force)`)),
  };
}

/** Name of a migrated database to copy, made by whichever test comes first. Its name changes with the migrations. */
async function template(url: string): Promise<string> {
  const name = `skein_template_${migrationsHash()}`;
  await onServer(async (client) => {
    await client.query('select pg_advisory_lock(hashtext($1))', [name]);
    const { rows } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rows.length) return;
    const unfinished = `${name}_unfinished`;
    await client.query(`drop database if exists ${unfinished} with (force)`);
    await client.query(`create database ${unfinished}`);
    await connected(urlOf(unfinished, url), (made) => migrate(made, silent));
    await client.query(`alter database ${unfinished} rename to ${name}`);
  });
  return name;
}

function migrationsHash(): string {
  const hash = createHash('sha256');
  const names = readdirSync(MIGRATIONS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  for (const name of names.sort()) hash.update(name).update(readFileSync(join(MIGRATIONS, name, 'migration.sql')));
  return hash.digest('hex').slice(0, 16);
}

function urlOf(database: string, server = TEST_DATABASE_URL!): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

async function onServer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  await connected(TEST_DATABASE_URL!, work);
}

async function connected(connectionString: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
