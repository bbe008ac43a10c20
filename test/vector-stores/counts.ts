import { expect } from 'vitest';
import type { Rows } from '../graph/rows.ts';

/** What a store knows of its chunks is what is true of them, to the last word; each file has its chunks once. */
export async function expectCountsRight(rows: Rows, storeId: string): Promise<void> {
  const [known] = await rows.query(
    'select chunks, words::int as words, usage_bytes::int as bytes from vector_store where id = $1',
    [storeId],
  );
  const [counted] = await rows.query(
    `select count(*)::int as chunks, coalesce(sum(words), 0)::int as words,
coalesce(sum(octet_length(text) + octet_length(embedding)), 0)::int as bytes from chunk where vector_store_id = $1`,
    [storeId],
  );
  expect(known).toEqual(counted);
  const wrongFiles = await rows.query(
    `select f.id, f.status, f.chunks, count(c)::int as there, min(c.number), max(c.number) from vector_store_file f
left join chunk c on c.vector_store_file_id = f.id where f.vector_store_id = $1 group by f.id
having f.chunks <> count(c) or (count(c) > 0 and (min(c.number) <> 0 or max(c.number) <> count(c) - 1 or f.status <> 'COMPLETED'))`,
    [storeId],
  );
  expect(wrongFiles).toEqual([]);
  const wrongLexemes = await rows.query(
    `select * from (select lexeme, chunks from store_lexeme where vector_store_id = $1) known
full join (select l.lexeme, count(*)::int as chunks from chunk c, unnest(tsvector_to_array(c.lexemes)) l(lexeme)
  where c.vector_store_id = $1 group by 1) counted using (lexeme)
where known.chunks is distinct from counted.chunks limit 5`,
    [storeId],
  );
  expect(wrongLexemes).toEqual([]);
}
