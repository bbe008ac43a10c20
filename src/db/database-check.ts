import { type Queryable, sqlState } from './db.ts';
import { MIGRATIONS, migrationNames } from './migrate.ts';

/** Whoever asks whether a server is ready does not wait for longer. */
const MOST_MS = 3000;
const UNDEFINED_TABLE = '42P01';

/**
 * Says what keeps the database from being worked with, in words for operators, or null. Calls that come while one is
 * under way share its answer.
 */
export function createDatabaseCheck(q: Queryable, folder = MIGRATIONS): () => Promise<string | null> {
  const names = migrationNames(folder);
  let asking: Promise<string | null> | null = null;

  async function ask(): Promise<string | null> {
    try {
      const [row] = await q.query<{ missing: string[] }>({
        name: 'ready',
        text: `select coalesce(array_agg(n.name order by n.name), '{}') as missing from unnest($1::text[]) n(name)
where not exists (select from _prisma_migrations m
  where m.migration_name = n.name and m.finished_at is not null and m.rolled_back_at is null)`,
        values: [names],
      });
      const { missing } = row!;
      return missing.length > 0 ? `Its schema is older than this version: it lacks ${missing.join(', ')}.` : null;
    } catch (error) {
      if (sqlState(error) === UNDEFINED_TABLE) return 'It has no schema: its migrations are not applied.';
      return `It does not answer: ${(error as Error).message}`;
    }
  }

  return async () => {
    asking ??= ask().finally(() => (asking = null));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`It did not answer within ${MOST_MS / 1000} s.`), MOST_MS);
    });
    return await Promise.race([asking, late]).finally(() => clearTimeout(timer));
  };
}

/**
 * What tells this database apart from all others, for what is shared with them: the same for every process that uses
 * it, by whichever name they reach it.
 */
export async function databaseIdentity(q: Queryable): Promise<string> {
  const [row] = await q.query<{ identity: string }>({
    name: 'database-identity',
    text: `select md5(current_database() || ' ' || (
  select id from _prisma_migrations order by started_at, id limit 1
)) as identity`,
    values: [],
  });
  return row!.identity.slice(0, 16);
}
