import type { Db } from '../db/db.ts';
import { byCosine, type ExactSearch, type Scored, type Searched } from './exact-search.ts';
import type { VectorIndex } from './vector-index.ts';

/** A store whose vectors are searched. */
export interface SearchedStore {
  id: string;
  version: number;
  indexed: boolean;
}

export interface VectorSearch {
  /** What lies nearest to a vector in one store, best first; `filter` is a jsonpath that attributes of files must fit. */
  search(
    store: SearchedStore,
    vector: Float32Array,
    filter: string | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<Scored[]>;
}

/** Reading of a store's files, as far as their vectors go. */
interface Listed extends Searched {
  /** Its vectors are in the store's index. */
  indexed: boolean;
}

/** Stores whose list of files is remembered. */
const MOST_LISTS = 500;

/**
 * Compares with all vectors where that is as fast as an index, also when a filter leaves few of a large store; else
 * asks the index, and compares with what is not in it yet. Both know of every chunk that is committed.
 */
export function createVectorSearch(options: { db: Db; exact: ExactSearch; index: VectorIndex }): VectorSearch {
  const { db, exact, index } = options;
  const lists = new Map<string, { version: number; files: Listed[] }>();

  async function filesOf(store: SearchedStore, filter: string | null): Promise<Listed[]> {
    const known = filter === null ? lists.get(store.id) : undefined;
    if (known?.version === store.version) return known.files;
    const files = await db.query<Listed>({
      name: 'search-files',
      text: `select f.id, f.epoch, f.chunks, coalesce(f.indexed_epoch = f.epoch, false) as indexed from vector_store_file f
where f.vector_store_id = $1 and f.status = 'COMPLETED' and f.chunks > 0
and ($2::jsonpath is null or f.attributes @@ $2::jsonpath) order by f.id`,
      values: [store.id, filter],
    });
    if (filter === null) {
      lists.delete(store.id);
      lists.set(store.id, { version: store.version, files });
      if (lists.size > MOST_LISTS) lists.delete(lists.keys().next().value!);
    }
    return files;
  }

  return {
    async search(store, vector, filter, limit, signal) {
      const files = await filesOf(store, filter);
      const all = files.reduce((sum, { chunks }) => sum + chunks, 0);
      const useIndex = store.indexed && index.version !== null && all >= index.from;
      if (!useIndex) return exact.search(db, files, vector, limit, signal);
      const [near, rest] = await Promise.all([
        index.search(store.id, vector, filter === null ? null : files.map(({ id }) => id), limit),
        exact.search(
          db,
          files.filter(({ indexed }) => !indexed),
          vector,
          limit,
          signal,
        ),
      ]);
      if (!near) return exact.search(db, files, vector, limit, signal);
      // The index may hold files that are gone, or that were read anew since.
      const indexed = new Set(files.flatMap((file) => (file.indexed ? [file.id] : [])));
      const found = [...near.filter(({ file, cosine }) => indexed.has(file) && cosine > 0), ...rest];
      return found.sort(byCosine).slice(0, limit);
    },
  };
}
