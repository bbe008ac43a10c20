import type { Db } from '../db/db.ts';
import { RELEASED } from '../work/leases.ts';
import { forgetSteps } from './read-in.ts';
import { isLeftOver, storeIsExpired } from './vector-store.ts';

/** Files of stores that one step empties or removes: with all of their passages, which may be thousands. */
const FILES_AT_ONCE = 1;
const STORES_AT_ONCE = 100;

/**
 * One turn of removing what deleted stores held, and what expired ones still hold: of those the list of files stays, so
 * that a new store can be made of them.
 */
export async function sweepStores(db: Db, signal: AbortSignal): Promise<{ stores: number; files: number }> {
  const done = { stores: 0, files: 0 };
  while (!signal.aborted) {
    const gone = await db.query({
      name: 'stores-sweep-files',
      text: `delete from vector_store_file where id in (
  select f.id from vector_store s join vector_store_file f on f.vector_store_id = s.id
  where s.deleted_at is not null limit ${FILES_AT_ONCE} for update of f skip locked
) returning 1`,
      values: [],
    });
    done.files += gone.length;
    if (gone.length < FILES_AT_ONCE) break;
  }
  // What readers have left that were killed after their file was cancelled.
  while (!signal.aborted) {
    const [file] = await db.query<{ id: string }>({
      name: 'stores-left-over',
      text: `select f.id from vector_store_file f where ${isLeftOver('f')} limit 1`,
      values: [],
    });
    if (!file) break;
    await forgetSteps(db, file.id);
    done.files += 1;
  }
  while (!signal.aborted) {
    const emptied = await db.query({
      name: 'stores-sweep-expired',
      text: `with over as (
  select f.id from vector_store s join vector_store_file f on f.vector_store_id = s.id
  where ${storeIsExpired('s')} and s.deleted_at is null and (f.chunks > 0 or f.status = 'IN_PROGRESS')
  limit ${FILES_AT_ONCE} for update of f skip locked
), chunks as (
  delete from chunk c using over where c.vector_store_file_id = over.id
), texts as (
  delete from extracted_text t using over where t.vector_store_file_id = over.id
)
update vector_store_file f set chunks = 0, usage_bytes = 0, ${RELEASED},
  status = case when f.status = 'IN_PROGRESS' then 'CANCELLED' else f.status end
from over where f.id = over.id returning 1`,
      values: [],
    });
    done.files += emptied.length;
    if (emptied.length < FILES_AT_ONCE) break;
  }
  while (!signal.aborted) {
    const gone = await db.tx(async (tx) => {
      const rows = await tx.query<{ id: string }>({
        name: 'stores-sweep',
        text: `delete from vector_store where id in (
  select s.id from vector_store s where s.deleted_at is not null
  and not exists (select from vector_store_file f where f.vector_store_id = s.id) limit ${STORES_AT_ONCE} for update skip locked
) returning id`,
        values: [],
      });
      tx.write({
        name: 'stores-sweep-lexemes',
        text: 'delete from store_lexeme where vector_store_id = any($1)',
        values: [rows.map(({ id }) => id)],
      });
      return rows;
    });
    done.stores += gone.length;
    if (gone.length < STORES_AT_ONCE) break;
  }
  return done;
}
