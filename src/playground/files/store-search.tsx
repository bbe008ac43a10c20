import { Search } from 'lucide-react';
import { type FormEvent, useState } from 'react';
import { SearchVectorStoreDocument, type VectorStorePartsFragment } from 'skein/client';
import { useQuery } from 'urql';
import { SearchResults } from '../conversation/search-results.tsx';
import { Button } from '../parts/button.tsx';
import { FormField } from '../parts/form-field.tsx';
import { countInWords } from '../parts/in-words.ts';
import { Notice } from '../parts/notice.tsx';
import { reasonOf } from '../parts/reason.ts';
import styles from './store-search.module.css';

const COUNTS = [5, 10, 20, 50];

/** Tries what a store finds: the same search as a model's. */
export function StoreSearch({ store }: { store: VectorStorePartsFragment }) {
  const [words, setWords] = useState('');
  const [count, setCount] = useState('5');
  const [asked, setAsked] = useState<{ query: string; first: number } | null>(null);
  const [{ data, error, fetching }, search] = useQuery({
    query: SearchVectorStoreDocument,
    variables: { id: store.id, query: asked?.query ?? '', first: asked?.first ?? 1 },
    pause: asked === null,
    // The store may hold other files by now.
    requestPolicy: 'network-only',
  });
  const results = asked === null || fetching ? null : (data?.vectorStore?.search ?? null);
  const may = words.trim() !== '' && store.status !== 'EXPIRED';

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!may) return;
    const next = { query: words.trim(), first: Number(count) };
    if (asked?.query === next.query && asked.first === next.first) search({ requestPolicy: 'network-only' });
    else setAsked(next);
  };

  return (
    <section className={styles.area} aria-label="Search this store">
      <h3>Search it</h3>
      <form className={styles.form} role="search" onSubmit={submit}>
        <FormField
          className={styles.words}
          quiet
          label="What to look for"
          value={words}
          change={setWords}
          control={<input type="search" placeholder="Words, or a question" maxLength={4096} />}
        />
        <FormField
          quiet
          label="Number of results"
          value={count}
          change={setCount}
          control={
            <select>
              {COUNTS.map((one) => (
                <option key={one} value={one}>
                  {one} results
                </option>
              ))}
            </select>
          }
        />
        <Button type="submit" icon={<Search size={15} />} disabled={!may || (asked !== null && fetching)}>
          Search
        </Button>
      </form>
      <p className={styles.said} role="status">
        {asked !== null && fetching && 'Searching…'}
        {results && (results.length === 0 ? 'Nothing in it fits.' : `${countInWords(results.length, 'passage')} found, best first.`)}
      </p>
      {error && !fetching && <Notice kind="danger">{reasonOf(error)}</Notice>}
      {results && results.length > 0 && !error && <SearchResults results={results} />}
    </section>
  );
}
