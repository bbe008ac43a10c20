import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import type { Logger } from 'pino';

export const MIGRATIONS = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** The key that Prisma's own migrate command locks. */
const ADVISORY_LOCK = 72707369;
const OLDEST_POSTGRES = 15;

/** Prisma's own table, column by column: its commands go on where this applier stops, and the other way round. */
const CREATE_TABLE = `create table if not exists _prisma_migrations (
  id varchar(36) primary key not null,
  checksum varchar(64) not null,
  finished_at timestamptz,
  migration_name varchar(255) not null,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz not null default now(),
  applied_steps_count integer not null default 0
)`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/**
 * Brings the database up to date with prisma/migrations: every folder once, in name order, each in one transaction.
 * Processes that start at the same time take turns.
 */
export async function migrate(client: pg.ClientBase, logger: Logger, folder = MIGRATIONS): Promise<void> {
  await refuseOldServer(client);
  const migrations = readMigrations(folder);
  await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
  try {
    await client.query(CREATE_TABLE);
    const applied = await readApplied(client);
    for (const name of applied.keys()) {
      if (!migrations.some((migration) => migration.name === name)) {
        logger.warn(
          { migration: name },
          'the database has a migration that this version of Skein does not know: it is newer',
        );
      }
    }
    for (const migration of migrations) {
      const checksum = applied.get(migration.name);
      if (checksum === migration.checksum) continue;
      if (checksum !== undefined) {
        throw new Error(
          `The migration ${migration.name} was changed after it had been applied to this database. ` +
            'Restore its migration.sql, and put the change into a new migration.',
        );
      }
      await apply(client, migration);
      logger.info({ migration: migration.name }, 'migration applied');
    }
  } finally {
    await client.query('select pg_advisory_unlock($1)', [ADVISORY_LOCK]);
  }
}

async function refuseOldServer(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ number: string; version: string }>(
    `select current_setting('server_version_num') as number, current_setting('server_version') as version`,
  );
  const { number, version } = rows[0]!;
  if (Number(number) >= OLDEST_POSTGRES * 10_000) return;
  throw new Error(
    `DATABASE_URL names a PostgreSQL ${version}, and Skein needs PostgreSQL ${OLDEST_POSTGRES} or newer.`,
  );
}

/** In the order in which they are applied. */
export const migrationNames = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();

function readMigrations(folder: string): Migration[] {
  return migrationNames(folder).map((name) => {
    const sql = readFileSync(join(folder, name, 'migration.sql'), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

/** Checksums by name. */
async function readApplied(client: pg.ClientBase): Promise<Map<string, string>> {
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished_at: Date | null }>(
    'select migration_name, checksum, finished_at from _prisma_migrations where rolled_back_at is null',
  );
  const unfinished = rows.find((row) => row.finished_at === null);
  if (unfinished) {
    throw new Error(
      `The migration ${unfinished.migration_name} was begun by Prisma's migrate command and has failed. ` +
        'Settle it with `prisma migrate resolve`, then start again.',
    );
  }
  return new Map(rows.map((row) => [row.migration_name, row.checksum]));
}

async function apply(client: pg.ClientBase, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(sql);
    await client.query(
      `insert into _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count) values ($1, $2, $3, clock_timestamp(), 1)`,
      [randomUUID(), checksum, name],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new Error(`The migration ${name} failed and was rolled back: ${(error as Error).message}`, { cause: error });
  }
}
