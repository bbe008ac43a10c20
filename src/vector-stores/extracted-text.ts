import type { Queryable } from '../db/db.ts';
import type { SourceLocation } from './location.ts';
import { storeIsThere } from './vector-store.ts';

/** A stretch of a file's extracted text, as UTF-16 indices, the end exclusive. */
export interface TextRange {
  /** Of the file in its store. */
  id: string;
  start: number;
  /** null = to its end, as far as one answer goes. */
  end: number | null;
}

/** UTF-16 units that one answer holds at most. */
export const TEXT_AT_ONCE = 100_000;

/** SQL over pieces as `t`: whether one of them has a part of a stretch of the text of file `id`. */
const holdsPart = (id: string, first: string, last: string): string => `t.vector_store_file_id = ${id}
  and t.start_index < greatest(${last}, 1) and t.start_index >= coalesce(
    (select max(start_index) from extracted_text where vector_store_file_id = ${id} and start_index <= ${first}), 0)`;

/** Stretches of texts, in the order of the ranges; null where no text was read, or none is kept any more. */
export async function readTexts(
  q: Queryable,
  projectId: string,
  ranges: readonly TextRange[],
): Promise<(string | null)[]> {
  const wanted = ranges.map(({ start, end, ...range }) => ({
    ...range,
    start,
    end: Math.min(end ?? Infinity, start + TEXT_AT_ONCE),
  }));
  return (await readStretches(q, projectId, wanted)).map((text) => text && text.toWellFormed());
}

/** The same as they are: an end of one may be half a pair. A piece of which several have a part is sent once. */
async function readStretches(
  q: Queryable,
  projectId: string,
  ranges: readonly { id: string; start: number; end: number }[],
): Promise<(string | null)[]> {
  const rows = await q.query<{ place: number; piece: string; at: number; text: string | null }>({
    name: 'extracted-texts',
    text: `select r.place::int - 1 as place, f.id || ' ' || t.start_index as piece, t.start_index as at,
case when row_number() over (partition by f.id, t.start_index order by r.place) = 1 then t.text end as text
from unnest($1::text[], $2::int[], $3::int[]) with ordinality r(id, first, last, place)
join vector_store_file f on f.id = r.id and f.project_id = $4 and f.status = 'COMPLETED'
join extracted_text t on ${holdsPart('f.id', 'r.first', 'r.last')} order by r.place, t.start_index`,
    values: [ranges.map(({ id }) => id), ranges.map(({ start }) => start), ranges.map(({ end }) => end), projectId],
  });
  const pieces = new Map(rows.flatMap(({ piece, text }) => (text === null ? [] : [[piece, text]])));
  const byPlace = Map.groupBy(rows, ({ place }) => place);
  return ranges.map(({ start, end }, place) => {
    const own = byPlace.get(place);
    if (!own) return null;
    const from = own[0]!.at;
    return own
      .map(({ piece }) => pieces.get(piece)!)
      .join('')
      .slice(Math.max(0, start - from), Math.max(0, end - from));
  });
}

/** Words of a file, and how much around them is to be read. */
export interface QuotePlace {
  fileId: string;
  quote: string;
  location: SourceLocation;
  before: number;
  after: number;
}

/** A stretch of a file's extracted text with a quote in it. */
export interface QuotedText {
  text: string;
  /** Of the stretch in the whole, the end exclusive. */
  startIndex: number;
  endIndex: number;
  /** Of the quote in the stretch. */
  quoteIndex: number;
}

/** Stores of one file that are looked at, the newest first. Its text is the same in all that this version has read. */
const MOST_STORES = 20;

/**
 * Quotes with the words around them, in the order of the places; null where no store of the project has the file's
 * text any more, or has other words at that place.
 */
export async function readQuoted(
  q: Queryable,
  projectId: string,
  places: readonly QuotePlace[],
): Promise<(QuotedText | null)[]> {
  const holders = await q.query<{ place: number; id: string }>({
    name: 'quote-holders',
    text: `select r.place::int - 1 as place, c.id
from unnest($1::text[], $2::int[], $3::int[], $4::text[]) with ordinality r(file, first, last, quote, place)
cross join lateral (
  select n.id from (
    select f.id from vector_store_file f join vector_store s on s.id = f.vector_store_id and ${storeIsThere('s')}
    where f.file_id = r.file and f.project_id = $5 and f.status = 'COMPLETED' order by f.id desc limit ${MOST_STORES}
  ) n where strpos((select string_agg(t.text, '' order by t.start_index) from extracted_text t
    where ${holdsPart('n.id', 'r.first', 'r.last')}), r.quote) > 0 limit 1
) c`,
    values: [
      places.map(({ fileId }) => fileId),
      places.map(({ location }) => location.startIndex),
      places.map(({ location }) => location.endIndex),
      places.map(({ quote }) => quote),
      projectId,
    ],
  });
  const found = holders.map(({ place, id }) => {
    const { location, before, after } = places[place]!;
    return { place, id, start: Math.max(0, location.startIndex - before), end: location.endIndex + after };
  });
  const texts = found.length > 0 ? await readStretches(q, projectId, found) : [];
  const quoted = new Map(found.map(({ place, start }, i) => [place, quotedIn(texts[i]!, start, places[place]!)]));
  return places.map((_, place) => quoted.get(place) ?? null);
}

function quotedIn(read: string | null, start: number, { quote, location }: QuotePlace): QuotedText | null {
  if (read?.slice(location.startIndex - start, location.endIndex - start) !== quote) return null;
  const from = isLow(read.charCodeAt(0)) ? 1 : 0;
  const text = read.slice(from, isHigh(read.charCodeAt(read.length - 1)) ? -1 : undefined);
  const startIndex = start + from;
  return { text, startIndex, endIndex: startIndex + text.length, quoteIndex: location.startIndex - startIndex };
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
