import pg from 'pg';
import type { Logger } from 'pino';
import { createDb, type Db, type DbOptions } from './db.ts';
import { type Embedded, openEmbedded } from './embedded.ts';
import { migrate } from './migrate.ts';

export interface DatabaseOptions {
  /** null = the embedded database in `dataDir`. */
  databaseUrl: string | null;
  dataDir: string;
  poolSize: number;
  logger: Logger;
}

export interface Database extends Db {
  /** For whoever needs a connection outside of the pool, to listen on. */
  readonly connection: DbOptions['connection'];
}

/** Opens the database, embedded or a PostgreSQL server, and brings it up to date. */
export async function openDatabase({ databaseUrl, dataDir, poolSize, logger }: DatabaseOptions): Promise<Database> {
  const embedded = databaseUrl === null ? await openEmbedded({ dataDir, logger }) : null;
  try {
    const connection = embedded ? socketConnection(embedded) : { connectionString: databaseUrl! };
    await bringUpToDate(connection, logger);
    const db = createDb({ connection, embedded: embedded !== null, poolSize, logger });
    return {
      ...db,
      connection,
      async close() {
        try {
          await db.close();
        } finally {
          await embedded?.close();
        }
      },
    };
  } catch (error) {
    await embedded?.close();
    throw error;
  }
}

/** Complete, so that nothing of it comes from PG… variables that are meant for another server. */
function socketConnection({ socketDir }: Embedded): DbOptions['connection'] {
  return { host: socketDir, port: 5432, user: 'postgres', database: 'postgres', password: '', ssl: false };
}

async function bringUpToDate(connection: DbOptions['connection'], logger: Logger): Promise<void> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 30_000 });
  client.on('error', (error) => logger.warn({ err: error }, 'the connection that migrates the database failed'));
  try {
    await client.connect();
  } catch (error) {
    const where = client.host.startsWith('/') ? client.host : `${client.host}:${client.port}`;
    const reason = (error as Error).message || (error as { code?: string }).code;
    throw new Error(`The database ${client.database} at ${where} cannot be reached: ${reason}`, { cause: error });
  }
  try {
    await migrate(client, logger);
  } finally {
    await client.end();
  }
}
