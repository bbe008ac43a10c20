import type { Db } from '../db/db.ts';
import type { Embedder, Embeddings } from '../llm/embeddings.ts';
import { type AttributeFilter, jsonPathOf } from './attribute-filter.ts';
import { keywordSearch } from './keyword-search.ts';
import type { SourceLocation } from './location.ts';
import { fuse, type Leg, type Ranked } from './rank.ts';
import { type Attributes, storeIsExpired, storeIsThere } from './vector-store.ts';
import type { VectorSearch } from './vector-search.ts';

export interface SearchOptions {
  filter: AttributeFilter | null;
  /** 1 to 50. */
  limit: number;
  /** 0 to 1. */
  scoreThreshold: number;
}

/** A passage that was found. */
export interface SearchResult {
  fileId: string;
  filename: string;
  /** 0 to 1, by its places in the legs of the search. */
  score: number;
  text: string;
  location: SourceLocation;
  /** Where its pages begin, when it runs over several: pairs of UTF-16 index and page. */
  pages: [number, number][] | null;
  attributes: Attributes;
}

/** Vectors of a store cannot be compared with what this server can make of a query. */
export class EmbedderMissingError extends Error {
  override name = 'EmbedderMissingError';
  constructor(storeId: string, embedder: string, current: string) {
    super(
      `The vector store ${storeId} was made with the embeddings ${embedder}, and this server has ${current}. ` +
        'Make a new store of its files, or set EMBEDDING_MODEL and EMBEDDING_DIMENSIONS as they were.',
    );
  }
}

export interface Search {
  /** Searches several stores as if they were one. What does not exist, or has expired, has nothing. */
  search(
    projectId: string,
    storeIds: readonly string[],
    query: string,
    options: SearchOptions,
    signal: AbortSignal,
  ): Promise<SearchResult[]>;
}

/** How much a vector leg counts beside the keyword leg: a built-in one knows no meaning, only spelling once more. */
const WEIGHT: Record<Embedder['driver'], number> = { 'hash-768': 0.25, openai: 1 };
const KEYWORD_WEIGHT = 1;
/** Hits of a leg that take part, for each result that is wanted, and at least. */
const DEPTH = 3;
const LEAST_DEPTH = 50;

interface StoreRow {
  id: string;
  embedder: string | null;
  version: number;
  indexed: boolean;
}

export function createSearch(options: { db: Db; embeddings: Embeddings; vectors: VectorSearch }): Search {
  const { db, embeddings, vectors } = options;

  /** One leg for each embedder: cosines of two cannot be compared, places can. */
  async function vectorLeg(
    embedder: Embedder,
    stores: StoreRow[],
    query: string,
    filter: string | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<Leg> {
    const [vector] = await embedder.embed([query], signal);
    const found = await Promise.all(stores.map((store) => vectors.search(store, vector!, filter, limit, signal)));
    const hits = found.flat().sort((a, b) => b.cosine - a.cosine);
    return { weight: WEIGHT[embedder.driver], hits: hits.slice(0, limit) };
  }

  async function resultsOf(ranked: readonly Ranked[]): Promise<SearchResult[]> {
    const rows = await db.query<Omit<SearchResult, 'score'> & { place: number }>({
      name: 'search-results',
      text: `select r.place::int - 1 as place, f.file_id as "fileId", f.filename, c.text, c.location, c.pages, f.attributes
from unnest($1::text[], $2::int[]) with ordinality r(file, number, place)
join chunk c on c.vector_store_file_id = r.file and c.number = r.number join vector_store_file f on f.id = r.file
join file b on b.id = f.file_id and (b.expires_at is null or b.expires_at > now()) order by r.place`,
      values: [ranked.map(({ file }) => file), ranked.map(({ number }) => number)],
    });
    return rows.map(({ place, ...row }) => ({ ...row, score: ranked[place]!.score }));
  }

  return {
    async search(projectId, storeIds, query, { filter, limit, scoreThreshold }, signal) {
      const stores = await db.query<StoreRow>({
        name: 'search-stores',
        text: `select s.id, s.embedder, s.version, s.indexed from vector_store s
where s.id = any($1) and s.project_id = $2 and s.chunks > 0 and ${storeIsThere('s')} and not ${storeIsExpired('s')}`,
        values: [storeIds, projectId],
      });
      if (stores.length === 0) return [];
      const path = filter && jsonPathOf(filter);
      const depth = Math.max(LEAST_DEPTH, limit * DEPTH);
      const groups = Map.groupBy(stores, ({ id, embedder }) => {
        const found = embedder === null ? null : embeddings.named(embedder);
        if (!found) throw new EmbedderMissingError(id, String(embedder), embeddings.current.name);
        return found;
      });
      const [hits, ...legs] = await Promise.all([
        keywordSearch(
          db,
          stores.map(({ id }) => id),
          query,
          path,
          depth,
        ),
        ...[...groups].map(([embedder, group]) => vectorLeg(embedder, group, query, path, depth, signal)),
      ]);
      // Every chunk is in the keyword leg's reach, and in that of one vector leg.
      const heaviest = Math.max(...legs.map(({ weight }) => weight));
      const ranked = fuse([{ weight: KEYWORD_WEIGHT, hits }, ...legs], KEYWORD_WEIGHT + heaviest);
      return resultsOf(ranked.filter(({ score }) => score >= scoreThreshold).slice(0, limit));
    },
  };
}
