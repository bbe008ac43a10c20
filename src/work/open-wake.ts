import type { Logger } from 'pino';
import { databaseIdentity } from '../db/database-check.ts';
import type { Database } from '../db/open-database.ts';
import { createNotifyWake } from './notify-wake.ts';
import { createLocalWake, type Wake } from './wake.ts';

/** The kind of wake-ups that fits: the embedded database has one process; others hear each other through it, or Redis. */
export async function openWake(options: { db: Database; redisUrl: string | null; logger: Logger }): Promise<Wake> {
  const { db, redisUrl, logger } = options;
  if (db.embedded) return createLocalWake();
  if (redisUrl === null) return createNotifyWake({ connection: db.connection, logger });
  const { createRedisWake } = await import('./redis-wake.ts'); // with ioredis, which nobody else needs to read
  return createRedisWake({ url: redisUrl, scope: `skein:${await databaseIdentity(db)}`, logger });
}

/** What is said of wake-ups that do not pass. */
export const STANDING_IN =
  'Until it is back polls stand in for it: news takes up to POLL_SECONDS, a cancellation HEARTBEAT_SECONDS. Lists of ' +
  'threads and vector stores that are followed move with what this process does alone.';

/** For whoever asks the server what it is made of: callers, who are not told why. */
export function describeWake({ carrier }: Wake): { driver: string; detail: string } {
  if (!carrier) return { driver: 'local', detail: 'The embedded database has one process; it needs to tell no other.' };
  const { driver, problem } = carrier;
  const what =
    driver === 'redis' ? 'Channels of the Redis that REDIS_URL names.' : 'LISTEN and NOTIFY of the database.';
  return { driver, detail: problem ? `${what} They do not pass now. ${STANDING_IN}` : what };
}
