import { join } from 'node:path';
import pg from 'pg';
import type { TestSkein } from '../skein.ts';

/** The rows behind a server, past its graph: to compare them before and after, and to put there what no mutation makes yet. */
export interface Rows {
  /** Every row of every table, as text. */
  dump(): Promise<string>;
  /** Every row that belongs to a project. */
  dumpOf(projectId: string): Promise<string>;
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export async function openRows({ database: { databaseUrl, dataDir } }: TestSkein): Promise<Rows> {
  const client = new pg.Client(
    databaseUrl
      ? { connectionString: databaseUrl }
      : { host: join(dataDir, 'sock'), port: 5432, user: 'postgres', database: 'postgres', password: '', ssl: false },
  );
  await client.connect();
  const query = async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) =>
    (await client.query<Row>(text, values)).rows;
  const tables = (
    await query<{ name: string; owned: boolean }>(
      `select table_name as name, exists (select 1 from information_schema.columns c
         where c.table_schema = t.table_schema and c.table_name = t.table_name and column_name = 'project_id') as owned
       from information_schema.tables t where table_schema = 'public' and table_name <> '_prisma_migrations' order by 1`,
    )
  ).map(({ name, owned }) => ({ name, where: owned ? 'project_id = $1' : OWNER[name] }));
  const rowsOf = async (where: (table: (typeof tables)[number]) => string, values: unknown[]) => {
    const lines: string[] = [];
    for (const table of tables) {
      const rows = await query<{ row: string }>(
        `select to_jsonb(t)::text as row from ${table.name} t where ${where(table)} order by 1`,
        values,
      );
      lines.push(...rows.map(({ row }) => `${table.name} ${row}`));
    }
    return lines.join('\n');
  };
  return {
    query,
    dump: () => rowsOf(() => 'true', []),
    dumpOf: (projectId) =>
      rowsOf(
        ({ name, where }) => {
          if (!where) throw new Error(`Say in test/graph/rows.ts to which project rows of the table ${name} belong.`);
          return where;
        },
        [projectId],
      ),
    close: () => client.end(),
  };
}

/** Tables without a project of their own. */
const OWNER: Record<string, string> = {
  project: 'id = $1',
  event: 'thread_id in (select id from thread where project_id = $1)',
  chunk: 'vector_store_id in (select id from vector_store where project_id = $1)',
  extracted_text: 'vector_store_file_id in (select id from vector_store_file where project_id = $1)',
  code_session: 'thread_id in (select id from thread where project_id = $1)',
  store_lexeme: 'vector_store_id in (select id from vector_store where project_id = $1)',
  // Of the server as a whole.
  server_secret: '$1::text is null',
};
