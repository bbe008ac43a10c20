import type { Queryable } from '../db/db.ts';

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

/** Stretches of texts, in the order of the ranges; null where no text was read, or none is kept any more. */
export async function readTexts(
  q: Queryable,
  projectId: string,
  ranges: readonly TextRange[],
): Promise<(string | null)[]> {
  const wanted = ranges.map(({ id, start, end }) => ({ id, start, end: Math.min(end ?? Infinity, start + TEXT_AT_ONCE) }));
  const pieces = await q.query<{ place: number; at: number; text: string }>({
    name: 'extracted-texts',
    text: `select r.place::int - 1 as place, t.start_index as at, t.text
from unnest($1::text[], $2::int[], $3::int[]) with ordinality r(id, first, last, place)
join vector_store_file f on f.id = r.id and f.project_id = $4 and f.status = 'COMPLETED'
join lateral (
  select start_index, text from extracted_text where vector_store_file_id = f.id and start_index < greatest(r.last, 1)
  and start_index >= coalesce(
    (select max(start_index) from extracted_text where vector_store_file_id = f.id and start_index <= r.first), 0)
) t on true order by r.place, t.start_index`,
    values: [wanted.map(({ id }) => id), wanted.map(({ start }) => start), wanted.map(({ end }) => end), projectId],
  });
  const byPlace = Map.groupBy(pieces, ({ place }) => place);
  return wanted.map(({ start, end }, place) => {
    const own = byPlace.get(place);
    if (!own) return null;
    const from = own[0]!.at;
    return own
      .map(({ text }) => text)
      .join('')
      .slice(Math.max(0, start - from), Math.max(0, end - from))
      .toWellFormed();
  });
}
