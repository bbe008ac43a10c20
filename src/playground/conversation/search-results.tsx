import type { ToolCall } from 'skein/react';
import { placeOf } from './place.ts';
import styles from './search-results.module.css';

type Result = Extract<ToolCall, { __typename: 'FileSearchToolCall' }>['results'][number];

/** What a search found, best first: where, how well it fits, and the words. */
export function SearchResults({ results }: { results: readonly Result[] }) {
  if (results.length === 0) return <p className={styles.none}>Nothing found yet.</p>;
  return (
    <ol className={styles.results}>
      {results.map((result, at) => (
        <li key={at}>
          <div className={styles.head}>
            <span className={styles.name}>{result.filename}</span>
            <span className={styles.place}>{placeOf(result.location)}</span>
            <meter className={styles.meter} min={0} max={1} value={result.score} aria-label={`Score of ${result.filename}`} />
            <span className={styles.score}>{result.score.toFixed(2)}</span>
          </div>
          {/* A long one scrolls: by the keyboard too. */}
          <blockquote tabIndex={0}>{result.text}</blockquote>
        </li>
      ))}
    </ol>
  );
}
