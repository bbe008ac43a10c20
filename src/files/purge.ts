import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';
import { idAt } from '../ids.ts';
import type { Storage } from './storage.ts';
import { removeBytes } from './store.ts';
import { UPLOAD_KEPT } from './uploads.ts';

export interface Purge {
  /**
   * Removes files that are past their time, bytes that no file names any more, and uploads that nobody can use, at
   * most `limit` of each; the answer is how many things went. Any number of processes may do it at once.
   */
  purgeExpired(limit: number): Promise<number>;
  /** Deletes files that were stored before a moment, at most `limit`; their bytes go with the next `purgeExpired`. */
  deleteStoredBefore(moment: Date, limit: number): Promise<number>;
}

/** Bytes that one process is removing, or could not remove, are left alone by others for this long. */
const AGAIN_AFTER = '10 minutes';

/** Rows of `file` that go leave the place of their bytes behind, in the same statement. */
export const deleteFiles = (which: string): string => `with gone as (
  delete from file where id in (${which}) returning storage_key, project_id
) insert into loose_bytes (storage_key, project_id, remove_at) select storage_key, project_id, now() from gone
returning storage_key as key`;

export function createPurge({ db, storage, logger }: { db: Db; storage: Storage; logger: Logger }): Purge {
  const claimBytes = (limit: number) =>
    db.query<{ key: string }>({
      name: 'bytes-claim-loose',
      text: `update loose_bytes set remove_at = now() + interval '${AGAIN_AFTER}' where storage_key in (
  select storage_key from loose_bytes where remove_at <= now() order by remove_at limit $1 for update skip locked
) returning storage_key as key`,
      values: [limit],
    });

  return {
    async purgeExpired(limit) {
      const expired = await db.query({
        name: 'files-expire',
        text: deleteFiles(
          'select id from file where expires_at <= now() order by expires_at limit $1 for update skip locked',
        ),
        values: [limit],
      });
      const uploads = await db.query({
        name: 'uploads-expire',
        text: `delete from upload where id in (
  select id from upload where created_at <= now() - interval '${UPLOAD_KEPT}' order by created_at limit $1 for update skip locked
) returning id`,
        values: [limit],
      });
      let removed = 0;
      for (const { key } of await claimBytes(limit)) {
        try {
          await removeBytes(db, storage, key);
          removed += 1;
        } catch (error) {
          logger.warn({ err: error }, 'bytes of a deleted file could not be removed; they are tried again');
        }
      }
      return expired.length + uploads.length + removed;
    },

    async deleteStoredBefore(moment, limit) {
      const gone = await db.query({
        name: 'files-retire',
        text: deleteFiles('select id from file where id < $1 order by id limit $2 for update skip locked'),
        values: [idAt('File', moment), limit],
      });
      return gone.length;
    },
  };
}
