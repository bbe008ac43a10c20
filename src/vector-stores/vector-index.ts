import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Db, NO_TABLE, sqlState } from '../db/db.ts';
import { readMatrices, type Scored } from './exact-search.ts';

/** Where the database has pgvector: an index of the vectors of each large store. */
export interface VectorIndex {
  /** Version of the extension; null = the database has none that is good enough. */
  readonly version: string | null;
  /** Why there is none, in words for operators. */
  readonly problem: string | null;
  /** Passages from which on it is asked: fewer are compared one by one. */
  readonly from: number;
  /**
   * The nearest vectors of a store that has its index, best first; of some files of it where some are given. Null when
   * the index is gone: somebody has dropped it, or restored the database without it.
   */
  search(storeId: string, vector: Float32Array, files: readonly string[] | null, limit: number): Promise<Scored[] | null>;
  /** Brings the indexes of large stores up to their chunks; the answer is how many vectors went in. */
  maintain(signal: AbortSignal): Promise<{ vectors: number; indexes: number }>;
}

/** Chunks from which on a store has an index: below, comparing with all of them is as fast, and exact. */
export const INDEX_FROM = 10_000;
/** What pgvector can index: of `vector` up to 2000 numbers, of `halfvec` twice as many. */
const MOST_WHOLE = 2000;
const MOST_HALF = 4000;
/** Since 0.8 a scan goes on until it has found enough rows that fit a filter; before, it silently found too few. */
const OLDEST = [0, 8] as const;
/**
 * Vectors that go in with one statement. The embedded database does nothing else meanwhile, and each takes it some
 * hundredths of a second: between two statements it is left to others for as long as one took.
 */
const AT_ONCE = { embedded: 2, server: 256 };
/** How wide the search in the graph is; results are few. */
const EF_SEARCH = 160;
const SCHEMA = 'skein_vectors';

const NO_EXTENSION = '0A000';
const NO_PRIVILEGE = '42501';

/**
 * The tables are no part of the schema that migrations lead to: they depend on an extension that a database may lack,
 * on the length of vectors, and are made of what the chunks hold. Each can be dropped at any time, and comes again.
 */
export async function openVectorIndex(options: { db: Db; logger: Logger; from?: number }): Promise<VectorIndex> {
  const { db, logger, from: least = INDEX_FROM } = options;
  const { version, problem } = await findExtension(db);
  if (problem) logger.warn({ problem }, 'vectors are searched without an index: exactly, and slower in large stores');
  else logger.info({ version }, 'vectors of large stores are indexed by pgvector');

  // Without a name: it is done once, and not to be kept prepared.
  const ddl = (text: string) => db.query({ name: '', text, values: [] });

  async function makeTable(storeId: string, dimensions: number): Promise<void> {
    const type = typeOf(dimensions);
    await ddl(`create schema if not exists ${SCHEMA}`);
    await ddl(`create table if not exists ${SCHEMA}.${tableOf(storeId)} (
  file text collate "C" not null, number integer not null, embedding ${type}(${dimensions}) not null,
  primary key (file, number)
)`);
    // On the empty table: vectors go in a few at a time, and nothing waits for all of them.
    await ddl(`create index if not exists ${tableOf(storeId)}_hnsw on ${SCHEMA}.${tableOf(storeId)}
using hnsw (embedding ${type}_cosine_ops) with (m = 16, ef_construction = 64)`);
  }

  async function fill(storeId: string, dimensions: number, signal: AbortSignal): Promise<number> {
    const table = `${SCHEMA}.${tableOf(storeId)}`;
    await db.query({
      name: `vector-sweep-${storeId}`,
      text: `delete from ${table} v where not exists (select from vector_store_file f where f.id = v.file and f.indexed_epoch = f.epoch)`,
      values: [],
    });
    let done = 0;
    while (!signal.aborted) {
      const [file] = await db.query<{ id: string }>({
        name: 'vector-next-file',
        text: `select id from vector_store_file where vector_store_id = $1 and status = 'COMPLETED' and chunks > 0
and indexed_epoch is distinct from epoch order by id limit 1`,
        values: [storeId],
      });
      if (!file) break;
      const matrix = (await readMatrices(db, [file.id])).get(file.id);
      if (!matrix) continue; // it went in this moment
      const { epoch, chunks, values } = matrix;
      const step = AT_ONCE[db.embedded ? 'embedded' : 'server'];
      for (let from = 0; from < chunks && !signal.aborted; from += step) {
        const numbers = Array.from({ length: Math.min(step, chunks - from) }, (_, i) => from + i);
        const begun = performance.now();
        await db.query({
          name: `vector-insert-${storeId}`,
          text: `insert into ${table} select $1, number, embedding::${typeOf(dimensions)} from unnest($2::int[], $3::text[]) c(number, embedding)
on conflict (file, number) do update set embedding = excluded.embedding`,
          values: [file.id, numbers, numbers.map((n) => literal(values.subarray(n * dimensions, (n + 1) * dimensions)))],
        });
        done += numbers.length;
        if (db.embedded) await setTimeout(performance.now() - begun);
      }
      if (signal.aborted) break;
      await db.query({
        name: 'vector-file-done',
        text: 'update vector_store_file set indexed_epoch = epoch where id = $1 and epoch = $2',
        values: [file.id, epoch],
      });
    }
    return done;
  }

  return {
    version,
    problem,
    from: least,

    async search(storeId, vector, files, limit) {
      const type = typeOf(vector.length);
      try {
        return await db.tx((tx) => {
          tx.write({ name: 'vector-scan', text: 'set local hnsw.iterative_scan = strict_order', values: [] });
          tx.write({ name: 'vector-width', text: `set local hnsw.ef_search = ${EF_SEARCH}`, values: [] });
          return tx.query<Scored>({
            name: `vector-search-${files ? 'some-' : ''}${storeId}`,
            // A sub-select, not a join: the scan goes on in the order of the index until it has found enough.
            text: `select v.file, v.number, 1 - (v.embedding <=> $1::${type}) as cosine from ${SCHEMA}.${tableOf(storeId)} v
where (select f.indexed_epoch = f.epoch from vector_store_file f where f.id = v.file) ${files ? 'and v.file = any($3)' : ''}
order by v.embedding <=> $1::${type} limit $2`,
            values: [literal(vector), limit, ...(files ? [files] : [])],
          });
        });
      } catch (error) {
        if (sqlState(error) !== NO_TABLE) throw error;
        logger.warn({ vectorStoreId: storeId }, 'the index of a vector store is gone; it is made again');
        return null;
      }
    },

    async maintain(signal) {
      const done = { vectors: 0, indexes: 0 };
      if (version === null) return done;
      await forgetLost();
      const stores = await db.query<{ id: string; dimensions: number }>({
        name: 'vector-stores-to-index',
        text: `select id, dimensions from vector_store s where deleted_at is null and dimensions <= $2
and (chunks >= $1 or indexed) and (not indexed or exists (
  select from vector_store_file f where f.vector_store_id = s.id and f.status = 'COMPLETED' and f.chunks > 0
  and f.indexed_epoch is distinct from f.epoch))`,
        values: [least, MOST_HALF],
      });
      for (const { id, dimensions } of stores) {
        if (signal.aborted) break;
        await makeTable(id, dimensions);
        done.vectors += await fill(id, dimensions, signal);
        if (signal.aborted) break;
        done.indexes += 1;
        await db.query({
          name: 'vector-store-indexed',
          text: 'update vector_store set indexed = true, version = version + 1 where id = $1',
          values: [id],
        });
      }
      await dropOrphans();
      return done;
    },
  };

  /** Stores whose table is gone are made anew, like those that never had one. */
  async function forgetLost(): Promise<void> {
    await db.query({
      name: 'vector-lost',
      text: `with lost as (
  update vector_store s set indexed = false, version = version + 1
  where s.indexed and s.deleted_at is null and to_regclass($1 || '.' || quote_ident(s.id)) is null returning s.id
) update vector_store_file f set indexed_epoch = null from lost where f.vector_store_id = lost.id`,
      values: [SCHEMA],
    });
  }

  /** Tables of stores that are gone. */
  async function dropOrphans(): Promise<void> {
    const orphans = await db.query<{ name: string }>({
      name: 'vector-orphans',
      text: `select t.tablename as name from pg_tables t where t.schemaname = $1
and not exists (select from vector_store s where s.id = t.tablename and s.deleted_at is null)`,
      values: [SCHEMA],
    });
    for (const { name } of orphans) await ddl(`drop table if exists ${SCHEMA}.${tableOf(name)}`);
  }
}

async function findExtension(db: Db): Promise<{ version: string | null; problem: string | null }> {
  const [found] = await db.query<{ installed: string | null; available: string }>({
    name: 'vector-extension',
    text: `select installed_version as installed, default_version as available from pg_available_extensions where name = 'vector'`,
    values: [],
  });
  const without = (problem: string) => ({ version: null, problem });
  if (!found) return without('The database does not have the extension pgvector.');
  const version = found.installed ?? found.available;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return without(`The database has pgvector ${version}, and 0.8 or newer is needed.`);
  if (found.installed) return { version, problem: null };
  try {
    await db.query({ name: 'vector-create', text: 'create extension if not exists vector', values: [] });
    return { version, problem: null };
  } catch (error) {
    const state = sqlState(error);
    if (state === NO_PRIVILEGE) return without('pgvector is not installed in this database, and its user may not do that.');
    if (state === NO_EXTENSION) return without('The database lists pgvector, but lacks its files.');
    // Two processes that install it at once: one of them fails.
    if (state === '23505' || state === '42710') return { version, problem: null };
    throw error;
  }
}

const typeOf = (dimensions: number): string => (dimensions <= MOST_WHOLE ? 'vector' : 'halfvec');

/** Ids of ours are letters, digits and one `_`; nothing else becomes part of a statement. */
function tableOf(storeId: string): string {
  if (!/^vs_[0-9a-z]{26}$/.test(storeId)) throw new TypeError('not the id of a vector store');
  return storeId;
}

/** Seven digits are what a 32-bit float has. */
const literal = (vector: Float32Array): string =>
  `[${Array.from(vector, (value) => (value === 0 ? '0' : value.toPrecision(7))).join(',')}]`;
