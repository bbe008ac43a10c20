import type { Queryable } from '../db/db.ts';
import { searchable } from './searchable.ts';

/** A chunk that a leg of a search has found, best first. */
export interface Hit {
  /** Id of the file in its store. */
  file: string;
  number: number;
}

/** BM25, with the usual constants: how soon more of the same word counts no more, and how much long chunks lose. */
const K1 = 1.2;
const B = 0.75;
/**
 * Candidates have one of the rarest words of the query: of as many of them as stand in so few chunks together. What has
 * only commoner ones would not come out on top.
 */
const FEW_CHUNKS = 5000;
/** Chunks that are looked at when even the rarest word of a query is a common one. */
const MOST_CANDIDATES = 20_000;
/** Words of a query that count. */
const MOST_WORDS = 64;
/**
 * How often a word stands in a chunk costs much to find out, and changes little: it is done for those that come out on top
 * when each word of theirs, the rarest ones of the query, is taken to stand there once.
 */
const LIKELY_WORDS = 12;
const LIKELY_CHUNKS = 400;
/** The same for each result that is wanted. */
const LIKELY_DEPTH = 6;

/**
 * SQL over chunks `c`: those of files that are read in and whose attributes fit the jsonpath in a parameter, if there is
 * one. `is true` keeps it a filter: as a join it tempts the planner to go through the chunks file by file.
 */
const isFound = (stores: string, filter: string): string => `(c.vector_store_file_id in (
  select f.id from vector_store_file f where f.vector_store_id = any(${stores}) and f.status = 'COMPLETED'
  and (${filter}::jsonpath is null or f.attributes @@ ${filter}::jsonpath))) is true`;

interface Word {
  lexeme: string;
  /** Chunks that have it, of `all`, whose mean length is `mean`. */
  chunks: number;
  all: number;
  mean: number;
}

/** What is spelled like the query, by BM25 over the lexemes of several stores as if they were one. */
export async function keywordSearch(
  q: Queryable,
  storeIds: readonly string[],
  query: string,
  filter: string | null,
  limit: number,
): Promise<Hit[]> {
  const words = await q.query<Word>({
    name: 'search-words',
    text: `select l.lexeme, sum(l.chunks)::float8 as chunks, max(a.chunks) as all, max(a.words) / max(a.chunks) as mean
from (select sum(chunks)::float8 as chunks, sum(words)::float8 as words from vector_store where id = any($1)) a,
  unnest(tsvector_to_array(to_tsvector('english', $2))) w(lexeme)
  join store_lexeme l on l.lexeme = w.lexeme and l.vector_store_id = any($1)
where a.chunks > 0 group by 1 order by 2, 1 limit ${MOST_WORDS}`,
    values: [storeIds, searchable(query)],
  });
  const [rarest] = words;
  if (!rarest) return [];
  const idf = words.map(({ chunks, all }) => Math.log(1 + (all - chunks + 0.5) / (chunks + 0.5)));
  return q.query<Hit>({
    name: 'search-keyword',
    text: `with candidate as (
  select c.vector_store_file_id as file, c.number, c.lexemes,
    ${K1} * (${1 - B} + ${B} * c.words / $6::float8) as weight,
    (select sum(w.idf) from unnest($8::tsquery[], $9::float8[]) w(word, idf) where c.lexemes @@ w.word) as shared
  from chunk c where c.vector_store_id = any($1) and c.lexemes @@ $2::tsquery and ${isFound('$1', '$3')}
  limit ${MOST_CANDIDATES}
), likely as (
  select * from candidate order by shared / (1 + weight) desc, file, number limit greatest(${LIKELY_CHUNKS}, ${LIKELY_DEPTH} * $7::int)
), scored as (
  select c.file, c.number, sum(w.idf * ${K1 + 1} * cardinality(l.positions) / (cardinality(l.positions) + c.weight)) as score
  from likely c cross join lateral unnest(c.lexemes) l
  join unnest($4::text[], $5::float8[]) w(lexeme, idf) on w.lexeme = l.lexeme group by 1, 2
)
select file, number from scored order by score desc, file, number limit $7`,
    values: [
      ...[storeIds, anyOf(rare(words)), filter, words.map(({ lexeme }) => lexeme), idf, rarest.mean, limit],
      ...[words.slice(0, LIKELY_WORDS).map(({ lexeme }) => anyOf([lexeme])), idf.slice(0, LIKELY_WORDS)],
    ],
  });
}

function rare(words: readonly Word[]): string[] {
  let upTo = 0;
  const chosen = words.filter(({ chunks }, place) => {
    upTo += chunks;
    return place === 0 || upTo <= FEW_CHUNKS;
  });
  return chosen.map(({ lexeme }) => lexeme);
}

/** A tsquery of lexemes as they stand. */
const anyOf = (lexemes: readonly string[]): string =>
  lexemes.map((lexeme) => `'${lexeme.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`).join(' | ');
