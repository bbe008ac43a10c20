import type { Hit } from './keyword-search.ts';

/** One list of hits, best first, and how much it counts. */
export interface Leg {
  weight: number;
  hits: readonly Hit[];
}

/** How soon a place further down counts for less (Cormack's constant). */
const K = 60;

export type Ranked = Hit & { score: number };

/**
 * Reciprocal rank fusion: what several legs have near their tops comes first. Scores are 0 to 1; 1 = at the top of every
 * leg that could have found it. `most` is what they weigh together.
 */
export function fuse(legs: readonly Leg[], most: number): Ranked[] {
  const sums = new Map<string, Ranked>();
  for (const { weight, hits } of legs) {
    hits.forEach(({ file, number }, place) => {
      const key = `${file} ${number}`;
      const sum = sums.get(key) ?? { file, number, score: 0 };
      sum.score += weight / (K + place + 1);
      sums.set(key, sum);
    });
  }
  for (const sum of sums.values()) sum.score = Math.min(1, (sum.score * (K + 1)) / most);
  return [...sums.values()].sort(
    (a, b) => b.score - a.score || (a.file < b.file ? -1 : a.file > b.file ? 1 : a.number - b.number),
  );
}
