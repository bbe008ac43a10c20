import type { Logger } from 'pino';
import pg from 'pg';

/**
 * Runs `work` while an advisory lock of this name is held, or answers null when another session holds it. The lock
 * belongs to a session of its own, outside of the pool and of any transaction: long work keeps no connection from
 * others and no old row alive, and the server lets go of the lock as soon as the process is gone.
 */
export async function exclusively<T>(
  connection: pg.ClientConfig,
  name: string,
  work: (lost: AbortSignal) => Promise<T>,
  logger: Logger,
): Promise<T | null> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 30_000 });
  const lost = new AbortController();
  client.on('error', (error) => {
    logger.warn({ err: error, name }, 'the connection that kept other processes from this work is lost');
    lost.abort(error);
  });
  await client.connect();
  try {
    const { rows } = await client.query<{ locked: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 0)) as locked',
      [`skein ${name}`],
    );
    return rows[0]!.locked ? await work(lost.signal) : null;
  } finally {
    // With the session goes its lock.
    await client.end();
  }
}
