import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { createShelf, type Shelf } from './shelf.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/retrieval');
const questions = JSON.parse(readFileSync(join(FOLDER, 'questions.json'), 'utf8')) as Question[];

interface Question {
  question: string;
  kind: 'keyword' | 'paraphrase';
  gold: { document: string; heading: string }[];
}

/** A passage as a ranking has it, with what it takes to know its sections. */
interface Passage {
  document: string;
  text: string;
  headingPath: string[];
}

let app: TestSkein;
let shelf: Shelf;
let rows: Rows;
let storeId: string;
beforeAll(async () => {
  app = await startSkein();
  shelf = createShelf(app);
  rows = await openRows(app);
  const fileIds: string[] = [];
  for (const name of readdirSync(join(FOLDER, 'documents')))
    fileIds.push(await shelf.upload(name, readFileSync(join(FOLDER, 'documents', name))));
  storeId = await shelf.store({ fileIds });
}, 180_000);
afterAll(async () => {
  await rows?.close();
  await app?.close();
});

const plain = (text: string): string => text.replace(/[^\p{L}\p{N}]+/gu, ' ').trim().toLowerCase();

/** The passage is of the section, or the section begins in it. */
function isIn({ document, heading }: Question['gold'][number], passage: Passage): boolean {
  if (passage.document !== document) return false;
  if (plain(passage.headingPath.at(-1) ?? '') === plain(heading)) return true;
  return passage.text.split('\n').some((line) => plain(line) === plain(heading));
}

/** What a passage counts as, so that the same section is not counted twice. */
const sectionOf = ({ document, headingPath, text }: Passage): string =>
  `${document} ${headingPath.length > 0 ? headingPath.join(' > ') : text.slice(0, 80)}`;

interface Quality {
  hit1: number;
  hit5: number;
  hit20: number;
  mrr10: number;
}

async function measure(rank: (question: string) => Promise<Passage[]>) {
  const places: { kind: string; place: number }[] = [];
  for (const { question, kind, gold } of questions) {
    const sections: Passage[] = [];
    for (const passage of await rank(question))
      if (!sections.some((earlier) => sectionOf(earlier) === sectionOf(passage))) sections.push(passage);
    const place = sections.findIndex((passage) => gold.some((section) => isIn(section, passage)));
    places.push({ kind, place: place < 0 ? Infinity : place + 1 });
  }
  const quality = (own: typeof places): Quality => {
    const share = (k: number) => own.filter(({ place }) => place <= k).length / own.length;
    const mrr10 = own.reduce((sum, { place }) => sum + (place <= 10 ? 1 / place : 0), 0) / own.length;
    return { hit1: share(1), hit5: share(5), hit20: share(20), mrr10 };
  };
  return {
    all: quality(places),
    keyword: quality(places.filter(({ kind }) => kind === 'keyword')),
    paraphrase: quality(places.filter(({ kind }) => kind === 'paraphrase')),
  };
}

const figures = (quality: Quality): string =>
  Object.entries(quality)
    .map(([name, value]) => `${name} ${value.toFixed(2)}`)
    .join('  ');

const WORDS = `to_tsvector('english', array_to_string(array(
  select jsonb_array_elements_text(c.location -> 'headingPath')), ' ') || ' ' || c.text)`;

/** What PostgreSQL ranks by itself, over the same passages with their headings: any of the words, or all of them. */
const byTsRank =
  (query: string) =>
  (question: string): Promise<Passage[]> =>
    rows.query(
      `with q as (select ${query} as query)
select f.filename as document, c.text, c.location -> 'headingPath' as "headingPath" from q, chunk c
join vector_store_file f on f.id = c.vector_store_file_id cross join lateral (select ${WORDS} as words) w
where c.vector_store_id = $2 and w.words @@ q.query order by ts_rank(w.words, q.query) desc, f.filename, c.number limit 50`,
      [question, storeId],
    );
const ANY = `(select string_agg('''' || replace(l, '''', '''''') || '''', ' | ')::tsquery
  from unnest(tsvector_to_array(to_tsvector('english', $1))) l)`;
const ALL = `websearch_to_tsquery('english', $1)`;

test('the default search finds the right section, more often and sooner than ts_rank', { timeout: 120_000 }, async () => {
  const { fileCounts } = await shelf.state(storeId);
  expect(fileCounts).toMatchObject({ failed: 0, completed: fileCounts.total });
  expect(fileCounts.total).toBeGreaterThanOrEqual(10);
  expect(questions.length).toBeGreaterThanOrEqual(60);
  const [count] = await rows.query<{ chunks: number; sections: number }>(
    `select count(*)::int as chunks, count(distinct (vector_store_file_id, location ->> 'headingPath'))::int as sections from chunk where vector_store_id = $1`,
    [storeId],
  );
  const ours = await measure(async (question) =>
    (await shelf.search(storeId, question, { first: 50 })).map(({ filename, text, location }) => ({
      document: filename,
      text,
      headingPath: location!.headingPath,
    })),
  );
  const theirs = await measure(byTsRank(ANY));
  const stock = await measure(byTsRank(ALL));
  console.log(
    [
      `${questions.length} questions, ${count!.chunks} passages, ${count!.sections} heading paths`,
      `default      ${figures(ours.all)}`,
      `  keyword    ${figures(ours.keyword)}`,
      `  paraphrase ${figures(ours.paraphrase)}`,
      `OR, ts_rank  ${figures(theirs.all)}`,
      `  keyword    ${figures(theirs.keyword)}`,
      `  paraphrase ${figures(theirs.paraphrase)}`,
      `AND, ts_rank ${figures(stock.all)}`,
    ].join('\n'),
  );
  // One standard error of these shares is 0.05: the figures above are the news, these are the floor below them.
  expect(ours.keyword.hit5).toBe(1);
  expect(ours.all.hit5).toBeGreaterThanOrEqual(0.65);
  expect(ours.all.hit5).toBeGreaterThanOrEqual(1.1 * theirs.all.hit5);
  expect(ours.all.mrr10).toBeGreaterThanOrEqual(1.2 * theirs.all.mrr10);
  expect(ours.all.hit5).toBeGreaterThanOrEqual(1.5 * stock.all.hit5);
});
