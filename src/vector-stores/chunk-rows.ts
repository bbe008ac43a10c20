import type { Tx } from '../db/db.ts';
import type { Chunk } from './chunk.ts';
import { bytesOf } from './exact-search.ts';
import type { Block } from './extraction/extraction.ts';
import type { SourceLocation } from './location.ts';
import { searchable } from './searchable.ts';

/** UTF-16 units of one piece of extracted text. */
const PIECE = 64_000;

/** Where the pages of a chunk begin, when it runs over several: pairs of UTF-16 index and page. */
export function pagesOf(chunk: Pick<Chunk, 'startIndex' | 'endIndex' | 'page' | 'endPage'>, blocks: readonly Block[]) {
  if (chunk.page === chunk.endPage) return null;
  const pages: [number, number][] = [];
  for (const { start, end, page } of blocks) {
    if (end <= chunk.startIndex || start >= chunk.endIndex || page === null) continue;
    if (pages.at(-1)?.[1] !== page) pages.push([Math.max(start, chunk.startIndex), page]);
  }
  return pages.length > 1 ? pages : null;
}

/** Adds chunks of a file, the first of them with this number. */
export async function insertChunks(
  tx: Tx,
  file: { id: string; vectorStoreId: string },
  first: number,
  chunks: readonly Chunk[],
  blocks: readonly Block[],
  vectors: readonly Float32Array[],
): Promise<void> {
  const locations = chunks.map(({ startIndex, endIndex, page, startLine, endLine, headingPath }): SourceLocation => ({
    startIndex,
    endIndex,
    page,
    startLine,
    endLine,
    headingPath,
  }));
  await tx.query({
    name: 'chunks-insert',
    text: `insert into chunk (vector_store_file_id, number, vector_store_id, text, location, pages, words, lexemes, embedding)
select $1, c.number, $2, c.text, c.location, c.pages, w.words, s.lexemes, c.embedding
from unnest($3::int[], $4::text[], $5::jsonb[], $6::jsonb[], $7::text[], $8::bytea[])
  c(number, text, location, pages, searchable, embedding)
cross join lateral (select to_tsvector('english', c.searchable) as lexemes) s
cross join lateral (select coalesce(sum(cardinality(positions)), 0)::int as words from unnest(s.lexemes)) w`,
    values: [
      file.id,
      file.vectorStoreId,
      chunks.map((_, i) => first + i),
      chunks.map(({ text }) => text),
      locations.map((location) => JSON.stringify(location)),
      chunks.map((chunk) => {
        const pages = pagesOf(chunk, blocks);
        return pages && JSON.stringify(pages);
      }),
      chunks.map(keywordText),
      vectors.map(bytesOf),
    ],
  });
}

/** Removes what there is of a file: of a reading that came to nothing, or before another one. */
export function deleteChunks(tx: Tx, fileId: string): void {
  tx.write({ name: 'chunks-delete', text: 'delete from chunk where vector_store_file_id = $1', values: [fileId] });
}

/**
 * What the keyword search reads of a chunk: its words below the names of its columns, and the headings above it twice
 * over, since they say what it is about.
 */
const keywordText = ({ headingPath, header, text }: Chunk): string =>
  searchable([...headingPath, ...headingPath, header ?? '', text].join('\n'));

/** Keeps what was read out of a file, so that its passages can be shown and quotes be checked. */
export function replaceText(tx: Tx, fileId: string, text: string): void {
  const pieces: { startIndex: number; text: string }[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + PIECE, text.length);
    if (end < text.length && isHigh(text.charCodeAt(end - 1))) end -= 1;
    pieces.push({ startIndex: start, text: text.slice(start, end) });
    start = end;
  }
  tx.write({ name: 'text-delete', text: 'delete from extracted_text where vector_store_file_id = $1', values: [fileId] });
  tx.write({
    name: 'text-insert',
    text: `insert into extracted_text (vector_store_file_id, start_index, text)
select $1, start_index, text from unnest($2::int[], $3::text[]) p(start_index, text)`,
    values: [fileId, pieces.map(({ startIndex }) => startIndex), pieces.map((piece) => piece.text)],
  });
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
