import type { Db, Tx } from '../db/db.ts';
import type { Files } from '../files/files.ts';
import type { Embedder, Embeddings } from '../llm/embeddings.ts';
import { RELEASED } from '../work/leases.ts';
import type { Wake } from '../work/wake.ts';
import type { ChunkingStrategy } from './chunk.ts';
import { deleteChunks, insertChunks, replaceText } from './chunk-rows.ts';
import type { Extractor } from './extract.ts';
import { EmbedderMissingError } from './search.ts';
import { isLeftOver, storeIsThere, type VectorStoreFileError } from './vector-store.ts';

/** A file of a store in the hands of the process that reads it in. */
export interface ClaimedFile {
  id: string;
  projectId: string;
  vectorStoreId: string;
  fileId: string;
  chunking: ChunkingStrategy;
  epoch: number;
  failures: number;
  lost: number;
}

/** The file is not this process's any more: it was cancelled or removed, or its lease ran out. */
export class FileLostError extends Error {
  override name = 'FileLostError';
  constructor(id: string) {
    super(`${id} is not this process's any more`);
  }
}

export interface ReadInOptions {
  db: Db;
  wake: Wake;
  files: Pick<Files, 'open'>;
  extractor: Extractor;
  embeddings: Embeddings;
  /** Name of the process, as its leases have it. */
  owner: string;
}

/**
 * Chunks of one step: they are embedded, and then stored in a transaction of their own. A whole file in one would keep
 * everybody who wants its store waiting, and, where the database is embedded, everybody.
 */
const STEP = 128;

/**
 * Reads a file in: its text, its chunks with their vectors step by step, and what makes it COMPLETED in the end; nobody
 * finds any of it before. Answers with what is wrong with the file, or null when it is done.
 */
export async function readIn(
  file: ClaimedFile,
  options: ReadInOptions,
  signal: AbortSignal,
): Promise<VectorStoreFileError | null> {
  const { db, wake, files, extractor, embeddings } = options;
  const [store] = await db.query<{ embedder: string | null }>({
    name: 'ingest-store',
    text: `select s.embedder from vector_store s where s.id = $1 and ${storeIsThere('s')}`,
    values: [file.vectorStoreId],
  });
  if (!store) throw new FileLostError(file.id);
  const stored = await files.open(file.projectId, file.fileId);
  // Where it was deleted its row here is gone with it, and nobody is told.
  if (!stored) return { code: 'INVALID_FILE', message: 'This file has expired: upload it again.' };
  const embedder = store.embedder === null ? embeddings.current : embeddings.named(store.embedder);
  if (!embedder) {
    const { message } = new EmbedderMissingError(file.vectorStoreId, store.embedder!, embeddings.current.name);
    return { code: 'SERVER_ERROR', message };
  }
  const { filename, contentType } = stored;
  const read = await extractor.extract(
    { filename, contentType, chunking: file.chunking, stream: await stored.read() },
    signal,
  );
  if (!read.ok) {
    if (read.code === 'server_error') throw new Error(read.message);
    return { code: read.code.toUpperCase() as VectorStoreFileError['code'], message: read.message };
  }
  const { chunks, blocks, text } = read;
  let bytes = 0;
  for (let from = 0; from < chunks.length; from += STEP) {
    const part = chunks.slice(from, from + STEP);
    const vectors = await embedder.embed(
      part.map(({ indexText }) => indexText),
      signal,
    );
    await db.tx(async (tx) => {
      await expectHeld(tx, file, options);
      if (from === 0) {
        deleteChunks(tx, file.id); // of a worker that was lost with it
        await settleEmbedder(tx, file.vectorStoreId, embedder, vectors[0]!.length);
      }
      await insertChunks(tx, file, from, part, blocks, vectors);
      tx.write({
        name: 'ingest-step',
        text: 'update vector_store_file set chunks = $2 where id = $1',
        values: [file.id, from + part.length],
      });
    });
    part.forEach((chunk, i) => (bytes += Buffer.byteLength(chunk.text) + vectors[i]!.byteLength));
  }
  await db.tx(async (tx) => {
    await expectHeld(tx, file, options);
    replaceText(tx, file.id, text);
    tx.write({
      name: 'ingest-done',
      text: `update vector_store_file set status = 'COMPLETED', last_error = null, usage_bytes = $2, ${RELEASED} where id = $1`,
      values: [file.id, bytes],
    });
    // Its chunks are found from now on, and were counted before.
    tx.write({
      name: 'ingest-found',
      text: 'update vector_store set version = version + 1 where id = $1',
      values: [file.vectorStoreId],
    });
    tx.afterCommit(() => wake.wake('stores', file.vectorStoreId));
  });
  return null;
}

/** Removes what was stored of a file whose reading has come to nothing, unless somebody else has taken it up. */
export const forgetSteps = (db: Db, fileId: string): Promise<void> =>
  db.tx(async (tx) => {
    const over = await tx.query({
      name: 'ingest-forget',
      text: `update vector_store_file set chunks = 0 where id = $1 and ${isLeftOver('vector_store_file')} returning id`,
      values: [fileId],
    });
    if (over.length > 0) deleteChunks(tx, fileId);
  });

async function expectHeld(tx: Tx, file: ClaimedFile, { owner }: ReadInOptions): Promise<void> {
  const held = await tx.query({
    name: 'ingest-still-held',
    text: `select 1 from vector_store_file f join vector_store s on s.id = f.vector_store_id
where f.id = $1 and f.owner = $2 and f.epoch = $3 and f.status = 'IN_PROGRESS' and ${storeIsThere('s')} for no key update of f`,
    values: [file.id, owner, file.epoch],
  });
  if (held.length === 0) throw new FileLostError(file.id);
}

async function settleEmbedder(tx: Tx, storeId: string, { name }: Embedder, dimensions: number): Promise<void> {
  const [made] = await tx.query<{ embedder: string; dimensions: number }>({
    name: 'ingest-embedder',
    text: `update vector_store set embedder = coalesce(embedder, $2), dimensions = coalesce(dimensions, $3) where id = $1
returning embedder, dimensions`,
    values: [storeId, name, dimensions],
  });
  // Another process, with another model, was first with its first file: this one is read again with that.
  if (made!.embedder !== name) throw new Error('the store has another embedder since');
  if (made!.dimensions !== dimensions)
    throw new Error(`${name} has made ${dimensions} numbers where it made ${made!.dimensions} before`);
}
