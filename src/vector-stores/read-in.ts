import type { Db, Tx } from '../db/db.ts';
import type { Files } from '../files/files.ts';
import type { Embedder, Embeddings } from '../llm/embeddings.ts';
import { RELEASED } from '../work/leases.ts';
import type { Wake } from '../work/wake.ts';
import type { ChunkingStrategy } from './chunk.ts';
import { replaceChunks, replaceText } from './chunk-rows.ts';
import type { Extracted, Extractor } from './extract.ts';
import { EmbedderMissingError } from './search.ts';
import { storeIsThere, type VectorStoreFileError } from './vector-store.ts';

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

/** Texts that are embedded before it is looked whether anybody still wants them. */
const EMBED_AT_ONCE = 64;

/** Bytes of the vectors of one file: they are in memory together, until they are stored with it. */
const MOST_VECTOR_BYTES = 256 * 1024 * 1024;

type Read = Extracted & { ok: true };

const tooManyVectors = (passages: number): VectorStoreFileError => ({
  code: 'TOO_LARGE',
  message:
    `The vectors of its ${passages} passages take more than ${MOST_VECTOR_BYTES / 1024 / 1024} MB. Split it into smaller ` +
    'files, add it with a larger maxChunkSizeTokens, or use fewer EMBEDDING_DIMENSIONS.',
});

/**
 * Reads a file in: its text, its chunks, their vectors, and then all of it in one transaction, so that nobody ever finds
 * half of it. Answers with what is wrong with the file, or null when it is done.
 */
export async function readIn(
  file: ClaimedFile,
  options: ReadInOptions,
  signal: AbortSignal,
): Promise<VectorStoreFileError | null> {
  const { db, files, extractor, embeddings } = options;
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
  const vectors: Float32Array[] = [];
  for (let from = 0; from < read.chunks.length; from += EMBED_AT_ONCE) {
    const texts = read.chunks.slice(from, from + EMBED_AT_ONCE).map(({ indexText }) => indexText);
    vectors.push(...(await embedder.embed(texts, signal)));
    if (read.chunks.length * vectors[0]!.byteLength > MOST_VECTOR_BYTES) return tooManyVectors(read.chunks.length);
  }
  await db.tx((tx) => keep(tx, file, options, embedder, read, vectors));
  return null;
}

async function keep(
  tx: Tx,
  file: ClaimedFile,
  { owner, wake }: ReadInOptions,
  embedder: Embedder,
  { text, chunks, blocks }: Read,
  vectors: readonly Float32Array[],
): Promise<void> {
  const dimensions = vectors[0]?.length ?? null;
  const held = await tx.query({
    name: 'ingest-still-held',
    text: `select 1 from vector_store_file f join vector_store s on s.id = f.vector_store_id
where f.id = $1 and f.owner = $2 and f.epoch = $3 and f.status = 'IN_PROGRESS' and ${storeIsThere('s')} for no key update of f`,
    values: [file.id, owner, file.epoch],
  });
  if (held.length === 0) throw new FileLostError(file.id);
  const [made] = await tx.query<{ embedder: string; dimensions: number }>({
    name: 'ingest-embedder',
    text: `update vector_store set embedder = coalesce(embedder, $2), dimensions = coalesce(dimensions, $3) where id = $1
returning embedder, dimensions`,
    values: [file.vectorStoreId, embedder.name, dimensions],
  });
  // Another process, with another model, was first with its first file: this one is read again with that.
  if (made!.embedder !== embedder.name) throw new Error('the store has another embedder since');
  if (dimensions !== null && made!.dimensions !== dimensions) {
    throw new Error(`${embedder.name} has made ${dimensions} numbers where it made ${made!.dimensions} before`);
  }
  await replaceChunks(tx, file, chunks, blocks, vectors);
  replaceText(tx, file.id, text);
  const bytes = chunks.reduce((sum, chunk, i) => sum + Buffer.byteLength(chunk.text) + vectors[i]!.byteLength, 0);
  tx.write({
    name: 'ingest-done',
    text: `update vector_store_file set status = 'COMPLETED', last_error = null, chunks = $2, usage_bytes = $3, ${RELEASED}
where id = $1`,
    values: [file.id, chunks.length, bytes],
  });
  tx.afterCommit(() => wake.wake('stores', file.vectorStoreId));
}
