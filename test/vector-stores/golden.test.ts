import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { extractText } from 'unpdf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calls, openStage, says, type Stage } from '../engine/stage.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { createShelf, type Shelf } from './shelf.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/retrieval');
const questions = JSON.parse(readFileSync(join(FOLDER, 'questions.json'), 'utf8')) as Question[];

/** Questions that were there while the search was made; those behind them were labelled before they were first scored. */
const EARLIER = 79;

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

let stage: Stage;
let shelf: Shelf;
let rows: Rows;
let storeId: string;
beforeAll(async () => {
  // Its model is scripted; its vectors are the built-in ones.
  stage = await openStage();
  shelf = createShelf(stage.app);
  rows = await openRows(stage.app);
  const documents = readdirSync(join(FOLDER, 'documents'));
  const fileIds = await Promise.all(documents.map((name) => shelf.upload(name, readFileSync(join(FOLDER, 'documents', name)))));
  storeId = await shelf.store({ fileIds });
}, 180_000);
afterAll(async () => {
  await rows?.close();
  await stage?.close();
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
    earlier: quality(places.slice(0, EARLIER)),
    later: quality(places.slice(EARLIER)),
  };
}

const figures = (quality: Quality): string =>
  Object.entries(quality)
    .map(([name, value]) => `${name} ${value.toFixed(2)}`)
    .join('  ');

const ANY = `(select string_agg('''' || replace(l, '''', '''''') || '''', ' | ')::tsquery
  from unnest(tsvector_to_array(to_tsvector('english', $1))) l)`;
const ALL = `websearch_to_tsquery('english', $1)`;

/** What PostgreSQL ranks by itself, over the same passages with their headings: any of the words, or all of them. */
const ranked =
  (rank: 'ts_rank' | 'ts_rank_cd', query: string) =>
  (question: string): Promise<Passage[]> =>
    rows.query(
      `with q as (select ${query} as query) select w.document, w.text, w."headingPath" from q, passage_words w
where w.words @@ q.query order by ${rank}(w.words, q.query) desc, w.document, w.number limit 50`,
      [question],
    );

test('the default search finds the right section, more often and sooner than ts_rank', { timeout: 120_000 }, async () => {
  const { fileCounts } = await shelf.state(storeId);
  expect(fileCounts).toMatchObject({ failed: 0, completed: fileCounts.total });
  expect(fileCounts.total).toBeGreaterThanOrEqual(10);
  expect(questions.length).toBeGreaterThanOrEqual(60);
  const [count] = await rows.query<{ chunks: number; sections: number }>(
    `select count(*)::int as chunks, count(distinct (vector_store_file_id, location ->> 'headingPath'))::int as sections from chunk where vector_store_id = $1`,
    [storeId],
  );
  expect(count!.sections).toBeGreaterThanOrEqual(300);
  const ours = await measure(async (question) =>
    (await shelf.search(storeId, question, { first: 50 })).map(({ filename, text, location }) => ({
      document: filename,
      text,
      headingPath: location!.headingPath,
    })),
  );
  await rows.query(
    `create temporary table passage_words as select c.number, c.text, f.filename as document,
  c.location -> 'headingPath' as "headingPath", to_tsvector('english', array_to_string(array(
    select jsonb_array_elements_text(c.location -> 'headingPath')), ' ') || ' ' || c.text) as words
from chunk c join vector_store_file f on f.id = c.vector_store_file_id where c.vector_store_id = '${storeId}'`,
  );
  const stock = await measure(ranked('ts_rank', ALL));
  const theirs = {
    'stock ts_rank': stock,
    'stock ts_rank_cd': await measure(ranked('ts_rank_cd', ALL)),
    'OR, ts_rank_cd': await measure(ranked('ts_rank_cd', ANY)),
    'OR, ts_rank': await measure(ranked('ts_rank', ANY)),
  };
  console.log(
    [
      `${questions.length} questions, ${count!.chunks} passages, ${count!.sections} heading paths`,
      `${'default'.padEnd(18)}${figures(ours.all)}`,
      `${'  keyword'.padEnd(18)}${figures(ours.keyword)}`,
      `${'  paraphrase'.padEnd(18)}${figures(ours.paraphrase)}`,
      `${'  earlier'.padEnd(18)}${figures(ours.earlier)}`,
      `${'  later'.padEnd(18)}${figures(ours.later)}`,
      ...Object.entries(theirs).map(
        ([name, { all }]) => `${name.padEnd(18)}${figures(all)}  (ours ${(ours.all.hit5 / all.hit5).toFixed(2)}× in hit5)`,
      ),
    ].join('\n'),
  );
  expect(ours.keyword.hit5).toBeGreaterThanOrEqual(0.97);
  expect(ours.all.hit5).toBeGreaterThanOrEqual(0.7);
  // As PostgreSQL is asked by its manual: of a question it wants every word, which no passage has.
  expect(ours.all.hit5).toBeGreaterThanOrEqual(1.5 * stock.all.hit5);
  // Asked for any of the words it does much better; what is left is the rarity of words, which it does not know.
  for (const { all } of Object.values(theirs)) {
    expect(ours.all.hit5).toBeGreaterThan(all.hit5);
    expect(ours.all.mrr10).toBeGreaterThanOrEqual(1.1 * all.mrr10);
  }
});

/** Letters and digits alone: a reader of PDFs may put blanks where another has none. */
const bare = (text: string): string => text.replace(/[^\p{L}\p{N}]+/gu, '');

test('every quote of an answer stands in the file itself, on the page or the lines that its citation names', { timeout: 60_000 }, async () => {
  const assistantId = await stage.createAssistant({
    tools: [{ fileSearch: {} }],
    toolResources: { fileSearch: { vectorStoreIds: [storeId] } },
  });
  const files = await rows.query<{ id: string; filename: string }>('select id, filename from file');
  const filenames = new Map(files.map(({ id, filename }) => [id, filename]));
  const sources = new Map<string, string>();
  const sourceOf = (name: string): string => {
    const known = sources.get(name) ?? readFileSync(join(FOLDER, 'documents', name), 'utf8').replace(/\r\n?/g, '\n');
    sources.set(name, known);
    return known;
  };
  const bytes = readFileSync(join(FOLDER, 'documents/yauzl.pdf'));
  const { text: pages } = await extractText(new Uint8Array(bytes), { mergePages: false });
  const seen: Record<string, number> = {};
  for (const { question } of questions.filter((_, i) => i % 7 === 0)) {
    // A model that rests every sentence on every passage that it was told.
    const markers = Array.from({ length: 20 }, (_, i) => `${question}【0:${i}†x】`);
    stage.scenes.push(calls([{ name: 'file_search', arguments: JSON.stringify({ query: question }) }]), says(markers));
    const run = await stage.perform({ assistantId });
    for (const part of run.messages.nodes.flatMap(({ content }) => content)) {
      if (part.__typename !== 'TextContent') continue;
      for (const cited of part.annotations) {
        if (cited.__typename !== 'FileCitation') continue;
        const { quote, location } = cited;
        const { page, startLine, endLine, headingPath } = location!;
        const name = filenames.get(cited.fileId)!;
        const kind = extname(name);
        seen[kind] = (seen[kind] ?? 0) + 1;
        if (kind === '.md') {
          const lines = sourceOf(name).split('\n').slice(startLine! - 1, endLine!).join('\n');
          expect([name, lines]).toEqual([name, expect.stringContaining(quote)]);
        } else if (kind === '.pdf') {
          expect(bare(`${pages[page! - 1]}${pages[page!] ?? ''}`)).toContain(bare(quote));
          expect(bare(pages[page! - 1]!)).toContain(bare(quote).slice(0, 10));
        } else {
          expect(headingPath.length).toBeGreaterThan(0);
        }
      }
    }
  }
  console.log(`citations by kind of file: ${JSON.stringify(seen)}`);
  expect(Object.keys(seen).sort()).toEqual(['.docx', '.md', '.pdf']);
});
