import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';
import type { Files } from '../files/files.ts';
import type { Embeddings } from '../llm/embeddings.ts';
import type { Wake } from '../work/wake.ts';
import { createExactSearch } from './exact-search.ts';
import { createExtractor } from './extract.ts';
import { createIngest, fileLeases, type Ingest } from './ingest.ts';
import { createSearch } from './search.ts';
import { sweepStores } from './store-chores.ts';
import { removeLeftCopies } from './temporary-copy.ts';
import { INDEX_FROM, openVectorIndex } from './vector-index.ts';
import { createVectorSearch } from './vector-search.ts';
import { createVectorStores, type VectorStores } from './vector-stores.ts';

/** The room put together: what callers do with stores, and what goes on in them by itself. */
export interface Retrieval {
  readonly stores: VectorStores;
  /** How searches are done here, for those who ask the server what it is made of. */
  describe(): { driver: string; detail: string };
  /** What makes searches worse than they could be, in words for operators; null = nothing. */
  readonly problem: string | null;
  /** Begins to read files in, for as long as the process lives. */
  startReading(): void;
  /** Files in the hands of this process. */
  readonly reading: number;
  /** Work on the whole database, done by one process at a time. */
  readonly chores: readonly { name: string; work(signal: AbortSignal): Promise<Readonly<Record<string, number>>> }[];
  close(): Promise<void>;
}

export interface RetrievalOptions {
  db: Db;
  wake: Wake;
  files: Pick<Files, 'open'>;
  embeddings: Embeddings;
  /** Name of this process; no two that ever lived share one. */
  owner: string;
  leaseMs: number;
  heartbeatMs: number;
  pollMs: number;
  /** Files that are read at the same time, and what each may take. */
  concurrency: number;
  extraction: { memoryMb: number; timeoutMs: number };
  /** Bytes of vectors that searches keep in memory. */
  cacheBytes: number;
  logger: Logger;
}

export async function openRetrieval(options: RetrievalOptions): Promise<Retrieval> {
  const { db, wake, embeddings, concurrency, extraction, cacheBytes, logger } = options;
  const exact = createExactSearch({ maxBytes: cacheBytes, logger });
  const index = await openVectorIndex({ db, logger });
  const vectors = createVectorSearch({ db, exact, index });
  const stores = createVectorStores({ db, wake, search: createSearch({ db, embeddings, vectors }) });
  const extractor = createExtractor({ ...extraction, concurrency, logger });
  let ingest: Ingest | null = null;
  // Who holds the data folder is alone: whoever read a file before is gone.
  if (db.embedded) await fileLeases(options).voidAll();
  return {
    stores,
    describe: () => ({
      driver: index.version === null ? 'exact' : 'pgvector',
      detail:
        'Words by BM25 and vectors, fused by rank. ' +
        (index.version === null
          ? `Vectors are compared one by one in memory: ${index.problem}`
          : `Stores of ${INDEX_FROM} passages and more have an HNSW index (pgvector ${index.version}); vectors of smaller ones are compared one by one.`),
    }),
    get problem() {
      return exact.problem;
    },
    startReading() {
      ingest ??= createIngest({ ...options, extractor });
      removeLeftCopies().then(
        (removed) => removed > 0 && logger.info({ removed }, 'copies of files were removed that killed processes had left'),
        (error: unknown) => logger.warn({ err: error }, 'copies of files that killed processes have left could not be removed'),
      );
    },
    get reading() {
      return ingest?.active ?? 0;
    },
    chores: [
      { name: 'sweep vector stores', work: (signal) => sweepStores(db, signal) },
      { name: 'index vectors', work: (signal) => index.maintain(signal) },
    ],
    async close() {
      await ingest?.close();
      await extractor.close();
    },
  };
}
