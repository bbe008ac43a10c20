import { setTimeout } from 'node:timers/promises';
import { type Db, DEADLOCK, type Sql, sqlState, type Tx } from '../db/db.ts';
import { NotFoundError } from '../errors.ts';
import { RELEASED } from '../work/leases.ts';
import type { Wake } from '../work/wake.ts';
import type { Search } from './search.ts';
import { insertFiles, insertStore, readStore, refuseExpired, touchStores } from './store-rows.ts';
import {
  type Attributes,
  type NewStoreFile,
  type NewVectorStore,
  storeIsExpired,
  storeIsThere,
  type VectorStore,
} from './vector-store.ts';

/** What callers, and tools for them, do with vector stores. */
export interface VectorStores extends Search {
  create(projectId: string, id: string, store: NewVectorStore): Promise<void>;
  update(projectId: string, id: string, change: StoreChange): Promise<void>;
  /** Nobody sees it from then on; what it held is removed in steps. */
  delete(projectId: string, id: string): Promise<void>;
  /** Adds files, as a batch with this id. */
  addFiles(projectId: string, storeId: string, batchId: string, files: readonly NewStoreFile[]): Promise<void>;
  /** Ends the reading of those that are not done; those that are stay. */
  cancelBatch(projectId: string, batchId: string): Promise<void>;
  updateFile(projectId: string, id: string, attributes: Attributes | undefined): Promise<void>;
  /** Takes a file out of its store. The file itself stays. */
  removeFile(projectId: string, id: string): Promise<void>;
  /** Stores of these that take part in a search, with the states of the others: for those who search in a run. */
  usable(projectId: string, ids: readonly string[]): Promise<{ ready: string[]; expired: string[] }>;
  /**
   * Waits until nothing of these stores is being read any more, of each file for `mostMs` after it was added and no
   * longer: false when that was not enough.
   */
  ingested(projectId: string, ids: readonly string[], mostMs: number, signal: AbortSignal): Promise<boolean>;
  /** Files were added by others' transactions, which are committed. */
  wakeReaders(): void;
}

export type StoreChange = Partial<Pick<VectorStore, 'name' | 'metadata' | 'expiresAfterDays'>>;

const COLUMN: Record<keyof StoreChange, string> = {
  name: 'name = ?',
  metadata: 'metadata = ?::jsonb',
  expiresAfterDays: `expires_after_days = ?::integer, expires_at = last_active_at + ?::integer * interval '1 day'`,
};

/** How often it is looked whether files are read, beside being woken. */
const LOOK_EVERY_MS = 1000;
/** Tries of a change that has met another one in the wrong order. */
const MOST_TRIES = 5;

export function createVectorStores(options: { db: Db; wake: Wake; search: Search }): VectorStores {
  const { db, wake } = options;

  /**
   * A file that is deleted takes its rows out of all stores, by cascades whose order nobody chooses: whoever changes
   * several files of a store at that moment may be the one that the database sends back.
   */
  async function change(work: (tx: Tx) => Promise<void>): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await db.tx(work);
      } catch (error) {
        if (sqlState(error) !== DEADLOCK || tries === MOST_TRIES) throw error;
      }
    }
  }

  const moved = (tx: { afterCommit(action: () => void): void }, storeId: string) =>
    tx.afterCommit(() => {
      wake.wake('ingest');
      wake.wake('stores', storeId);
    });

  /** Milliseconds that files which are being read are worth waiting for, the most of all; null = nothing is being read. */
  async function patience(projectId: string, ids: readonly string[], mostMs: number): Promise<number | null> {
    const [row] = await db.query<{ left: number | null }>({
      name: 'stores-ingesting',
      text: `select max(extract(epoch from created_at - now()) * 1000 + $3)::float8 as left from vector_store_file
where vector_store_id = any($1) and project_id = $2 and status = 'IN_PROGRESS'`,
      values: [ids, projectId, mostMs],
    });
    return row!.left;
  }

  const watch = (id: string, changed: () => void) => wake.on('stores', (subject) => subject === id && changed(), changed);

  return {
    create: (projectId, id, store) =>
      change(async (tx) => {
        await insertStore(tx, projectId, id, store);
        moved(tx, id);
      }),

    async update(projectId, id, change) {
      const path = ['input', 'vectorStoreId'];
      const fields = Object.entries(change).filter(([, value]) => value !== undefined) as [keyof StoreChange, unknown][];
      await db.tx(async (tx) => {
        const store = await readStore(tx, projectId, id, path);
        if (change.expiresAfterDays !== undefined) refuseExpired(store, path);
        if (fields.length === 0) return;
        tx.write({
          name: `store-update-${fields.map(([field]) => field).join('-')}`,
          text: `update vector_store set ${fields.map(([field], i) => COLUMN[field].replaceAll('?', `$${i + 2}`)).join(', ')} where id = $1`,
          values: [id, ...fields.map(([field, value]) => (field === 'metadata' ? JSON.stringify(value) : value))],
        });
        moved(tx, id);
      });
    },

    delete: (projectId, id) =>
      change(async (tx) => {
        await readStore(tx, projectId, id, ['input', 'vectorStoreId']);
        tx.write(stopFiles('store-stop-files', 'vector_store_id = $1', [id]));
        tx.write({ name: 'store-delete', text: 'update vector_store set deleted_at = now() where id = $1', values: [id] });
        moved(tx, id);
      }),

    addFiles: (projectId, storeId, batchId, files) =>
      change(async (tx) => {
        const path = ['input', 'vectorStoreId'];
        refuseExpired(await readStore(tx, projectId, storeId, path), path);
        tx.write({
          name: 'store-batch-insert',
          text: 'insert into vector_store_file_batch (id, project_id, vector_store_id, created_at) values ($1, $2, $3, now())',
          values: [batchId, projectId, storeId],
        });
        await insertFiles(tx, projectId, storeId, batchId, files, ['input', 'files']);
        moved(tx, storeId);
      }),

    cancelBatch: (projectId, batchId) =>
      change(async (tx) => {
        // Files before their batch, and both before their store: the order of all.
        const stopped = await tx.query(
          stopFiles('store-batch-stop-files', 'batch_id = $1 and project_id = $2', [batchId, projectId]),
        );
        // A batch that was done before is not cancelled by that.
        const [batch] = await tx.query<{ storeId: string }>({
          name: 'store-batch-cancel',
          text: `update vector_store_file_batch b set cancelled_at = case when $3 then coalesce(b.cancelled_at, now()) else b.cancelled_at end
from vector_store s where b.id = $1 and b.project_id = $2 and s.id = b.vector_store_id and ${storeIsThere('s')}
returning b.vector_store_id as "storeId"`,
          values: [batchId, projectId, stopped.length > 0],
        });
        if (!batch) throw new NotFoundError('vector store file batch', batchId, ['input', 'vectorStoreFileBatchId']);
        moved(tx, batch.storeId);
      }),

    updateFile: (projectId, id, attributes) =>
      db.tx(async (tx) => {
        const [file] = await tx.query<{ storeId: string }>({
          name: 'store-file-update',
          text: `update vector_store_file f set attributes = coalesce($3, f.attributes) from vector_store s
where f.id = $1 and f.project_id = $2 and s.id = f.vector_store_id and ${storeIsThere('s')} returning f.vector_store_id as "storeId"`,
          values: [id, projectId, attributes ? JSON.stringify(attributes) : null],
        });
        if (!file) throw new NotFoundError('vector store file', id, ['input', 'vectorStoreFileId']);
        moved(tx, file.storeId);
      }),

    removeFile: (projectId, id) =>
      change(async (tx) => {
        const [file] = await tx.query<{ storeId: string }>({
          name: 'store-file-remove',
          text: `delete from vector_store_file f using vector_store s
where f.id = $1 and f.project_id = $2 and s.id = f.vector_store_id and ${storeIsThere('s')} returning f.vector_store_id as "storeId"`,
          values: [id, projectId],
        });
        if (!file) throw new NotFoundError('vector store file', id, ['input', 'vectorStoreFileId']);
        moved(tx, file.storeId);
      }),

    async search(projectId, storeIds, query, how, signal) {
      const [results] = await Promise.all([
        options.search.search(projectId, storeIds, query, how, signal),
        db.query(touchStores(projectId, storeIds)),
      ]);
      return results;
    },

    async usable(projectId, ids) {
      const rows = await db.query<{ id: string; expired: boolean }>({
        name: 'stores-usable',
        text: `select s.id, ${storeIsExpired('s')} as expired from vector_store s
where s.id = any($1) and s.project_id = $2 and ${storeIsThere('s')}`,
        values: [ids, projectId],
      });
      const those = (expired: boolean) => rows.filter((row) => row.expired === expired).map(({ id }) => id);
      return { ready: those(false), expired: those(true) };
    },

    async ingested(projectId, ids, mostMs, signal) {
      let look = Promise.withResolvers<void>();
      const offs = ids.map((id) => watch(id, () => look.resolve()));
      try {
        for (;;) {
          look = Promise.withResolvers<void>();
          const left = await patience(projectId, ids, mostMs);
          if (left === null) return true;
          if (left <= 0) return false;
          wake.wake('ingest');
          const timer = new AbortController();
          const pause = setTimeout(Math.min(left, LOOK_EVERY_MS), undefined, {
            signal: AbortSignal.any([signal, timer.signal]),
          });
          await Promise.race([look.promise, pause.catch(() => {})]);
          timer.abort();
          signal.throwIfAborted();
        }
      } finally {
        for (const off of offs) off();
      }
    },

    wakeReaders: () => wake.wake('ingest'),
  };
}

/** Ends the reading of files. They are locked in one order, whoever does it. */
const stopFiles = (name: string, which: string, values: unknown[]): Sql => ({
  name,
  text: `update vector_store_file set status = 'CANCELLED', ${RELEASED} where id in (
  select id from vector_store_file where ${which} and status = 'IN_PROGRESS' order by file_id for update) returning id`,
  values,
});
