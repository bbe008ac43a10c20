import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Db } from '../../src/db/db.ts';
import { DeleteVectorStoreDocument } from '../../src/generated/graphql/graphql.ts';
import { createHashEmbedder } from '../../src/llm/embeddings-hash.ts';
import { createExactSearch, type Scored } from '../../src/vector-stores/exact-search.ts';
import { openVectorIndex, type VectorIndex } from '../../src/vector-stores/vector-index.ts';
import { createVectorSearch, type VectorSearch } from '../../src/vector-stores/vector-search.ts';
import { createRandom } from '../chaos/random.ts';
import { TEST_DATABASE_URL } from '../database.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { openEmbeddingServer } from '../llm/embedding-server.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { connect } from './connect.ts';
import { createShelf, type Shelf } from './shelf.ts';

const FILES = 10;
/** Passages from which on these tests have an index; servers have it from 10 000 on. */
const FROM = 40;
const MOST = 20;
const never = new AbortController().signal;

const hasVector = async (): Promise<boolean> => {
  if (!TEST_DATABASE_URL) return true;
  const client = new pg.Client({ connectionString: TEST_DATABASE_URL });
  await client.connect();
  const { rowCount } = await client.query(`select from pg_available_extensions where name = 'vector'`);
  await client.end();
  return rowCount === 1;
};
const isThere = await hasVector();
if (!isThere) console.warn('pgvector is not in the PostgreSQL of TEST_DATABASE_URL: indexes are tested on the embedded database alone');

let app: TestSkein;
let shelf: Shelf;
let rows: Rows;
beforeAll(async () => {
  app = await startSkein();
  shelf = createShelf(app);
  rows = await openRows(app);
});
afterAll(async () => {
  await rows?.close();
  await app?.close();
});

test('whether vectors have an index is said by the graph, by health and in the log', async () => {
  const { data } = await app.raw('{ viewer { search { driver detail } embeddings { driver detail } } }');
  const { search, embeddings } = data!.viewer as Record<string, { driver: string; detail: string }>;
  const ready = (await (await fetch(`${app.url}/health/ready`)).json()) as { using: object };
  expect(ready.using).toMatchObject({ search: search!.detail, embeddings: embeddings!.detail });
  expect(embeddings).toEqual({ driver: 'hash-768', detail: expect.stringMatching(/Built in: it compares spelling/) });
  expect(search).toEqual(
    isThere
      ? { driver: 'pgvector', detail: expect.stringMatching(/Stores of 10000 passages.*HNSW index \(pgvector 0\.\d/) }
      : { driver: 'exact', detail: expect.stringMatching(/one by one in memory: The database does not have the extension pgvector/) },
  );
  const lines: { level: number; msg: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const db = connect(app);
  await openVectorIndex({ db, logger });
  await db.close();
  const [WARN, INFO] = [40, 30];
  expect(lines).toMatchObject([
    isThere ? { level: INFO, msg: /indexed by pgvector/ } : { level: WARN, msg: /searched without an index/ },
  ].map(({ level, msg }) => ({ level, msg: expect.stringMatching(msg) })));
});

describe.skipIf(!isThere)('the index of a store (needs pgvector)', () => {
  const { pick, int } = createRandom('index');
  const WORDS = Array.from({ length: 300 }, (_, i) => `word${(i * 7919) % 1000}`);
  const sentence = (topic: string): string => `${topic} ${Array.from({ length: 12 }, () => pick(WORDS)).join(' ')} ${topic}.`;
  const textOf = (i: number): string => Array.from({ length: 70 }, () => sentence(`topic${i}`).repeat(2)).join('\n\n');
  const embedder = createHashEmbedder();
  const lines: string[] = [];
  let id: string;
  let db: Db;
  let index: VectorIndex;
  let searched: VectorSearch;

  beforeAll(async () => {
    id = await shelf.store();
    const chunkingStrategy = { maxChunkSizeTokens: 100, chunkOverlapTokens: 0 };
    const files = await Promise.all(
      Array.from({ length: FILES }, async (_, i) => ({
        fileId: await shelf.upload(`f${i}.txt`, textOf(i)),
        attributes: { number: i, some: i === 3 },
        chunkingStrategy,
      })),
    );
    await shelf.add(id, files);
    expect((await shelf.settled(id)).fileCounts).toMatchObject({ completed: FILES });
    db = connect(app);
    const logger = pino({}, { write: (line: string) => void lines.push(line) });
    index = await openVectorIndex({ db, logger, from: FROM });
    searched = createVectorSearch({ db, exact: createExactSearch({ maxBytes: 2 ** 28, logger }), index });
    // So few rows would be read one by one, which is not what is tested. The pool has one connection.
    await db.query({ name: '', text: 'set enable_seqscan = off', values: [] });
    await db.query({ name: '', text: 'set enable_sort = off', values: [] });
  }, 120_000);
  afterAll(() => db?.close());

  const state = async (storeId = id) =>
    (await rows.query<{ id: string; version: number; indexed: boolean; chunks: number }>(
      'select id, version, indexed, chunks from vector_store where id = $1',
      [storeId],
    ))[0]!;
  const query = async (text: string, filter: string | null = null): Promise<Scored[]> => {
    const [vector] = await embedder.embed([text], never);
    return searched.search(await state(), vector!, filter, MOST, never);
  };
  /** The same, by comparing with every vector. */
  const exactly = async (text: string, filter: string | null = null): Promise<Scored[]> => {
    const [vector] = await embedder.embed([text], never);
    return searched.search({ ...(await state()), indexed: false }, vector!, filter, MOST, never);
  };
  const keys = (hits: readonly Scored[]): string[] => hits.map(({ file, number }) => `${file} ${number}`);
  async function recall(filter: string | null): Promise<number> {
    let found = 0;
    let all = 0;
    for (let round = 0; round < 15; round++) {
      const text = sentence(`topic${int(0, FILES - 1)}`);
      const right = keys(await exactly(text, filter));
      const got = keys(await query(text, filter));
      // Without going on in the index, a filter would leave it with a few of them, silently.
      expect(got).toHaveLength(right.length);
      found += right.filter((key) => got.includes(key)).length;
      all += right.length;
    }
    return found / all;
  }

  test('is made when there is something to index, and finds what comparing with all finds', { timeout: 60_000 }, async () => {
    expect(await state()).toMatchObject({ indexed: false });
    const { chunks } = await state();
    expect(chunks).toBeGreaterThan(FROM * FILES);
    expect(await index.maintain(never)).toEqual({ vectors: chunks, indexes: 1 });
    expect(await state()).toMatchObject({ indexed: true });
    expect(await index.maintain(never)).toEqual({ vectors: 0, indexes: 0 });
    const share = await recall(null);
    console.log(`${chunks} passages: recall of the index ${share.toFixed(3)}`);
    expect(share).toBeGreaterThanOrEqual(0.95);
  });

  test('finds as many under a filter that leaves a tenth', async () => {
    const share = await recall('exists($ ? (@."some" == true))');
    const plan = await db.query({
      name: '',
      text: `explain select v.file from skein_vectors.${id} v where v.file = any($2) order by v.embedding <=> $1::vector limit 20`,
      values: [`[${Array.from({ length: 768 }, () => 1).join(',')}]`, ['a']],
    });
    expect(JSON.stringify(plan)).toContain(`Index Scan using ${id}_hnsw`);
    console.log(`a filter that leaves a tenth: recall of the index ${share.toFixed(3)}`);
    expect(share).toBeGreaterThanOrEqual(0.95);
  });

  test('does not know of new files, which are found all the same, and forgets those that are gone', async () => {
    const before = keys(await query('topic4'));
    const { files } = await shelf.state(id);
    const gone = files.nodes.find(({ attributes }) => (attributes as { number: number }).number === 4)!;
    expect(before.some((key) => key.startsWith(gone.id))).toBe(true);
    await app.raw(`mutation { removeVectorStoreFile(input: { vectorStoreFileId: "${gone.id}" }) { deletedId } }`);
    await shelf.add(id, [{ fileId: await shelf.upload('new.txt', 'newtopic is the topic of this.'), attributes: { number: 99 } }]);
    await shelf.settled(id);
    expect(keys(await query('topic4')).some((key) => key.startsWith(gone.id))).toBe(false);
    const added = (await shelf.state(id)).files.nodes.find(({ attributes }) => (attributes as { number: number }).number === 99)!;
    expect(keys(await query('newtopic'))[0]).toBe(`${added.id} 0`);
    expect(await index.maintain(never)).toEqual({ vectors: 1, indexes: 1 });
    expect(keys(await query('newtopic'))[0]).toBe(`${added.id} 0`);
    expect(await rows.query(`select 1 from skein_vectors.${id} where file = $1`, [gone.id])).toEqual([]);
  });

  test('that somebody has dropped is missed by nobody, and is made again', async () => {
    const before = keys(await exactly('topic5'));
    await rows.query(`drop table skein_vectors.${id}`);
    expect(keys(await query('topic5'))).toEqual(before);
    expect(lines.join()).toMatch(/index of a vector store is gone/);
    const { chunks } = await state();
    expect(await index.maintain(never)).toEqual({ vectors: chunks, indexes: 1 });
    const got = keys(await query('topic5'));
    expect(before.filter((key) => got.includes(key)).length).toBeGreaterThanOrEqual(MOST * 0.9);
  });

  test('takes vectors of more than 2000 numbers by half of their precision', { timeout: 60_000 }, async () => {
    const topics = Array.from({ length: 2400 }, (_, i) => `topic${i} `);
    const model = await openEmbeddingServer(topics);
    const large = await startSkein({ OPENAI_BASE_URL: model.url, EMBEDDING_MODEL: 'large' });
    const own = createShelf(large);
    const text = Array.from({ length: FROM + 5 }, (_, i) => `topic${i * 10} ${'filler '.repeat(98)}`).join('\n\n');
    const storeId = await own.store({
      fileIds: [await own.upload('large.txt', text)],
      chunkingStrategy: { maxChunkSizeTokens: 100, chunkOverlapTokens: 0 },
    });
    const ownDb = connect(large);
    const ownRows = await openRows(large);
    try {
      const made = await openVectorIndex({ db: ownDb, logger: pino({ level: 'silent' }), from: FROM });
      expect((await made.maintain(never)).indexes).toBe(1);
      const [type] = await ownRows.query(
        `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = to_regclass($1) and attname = 'embedding'`,
        [`skein_vectors.${storeId}`],
      );
      expect(type).toEqual({ type: 'halfvec(2401)' });
      const vector = new Float32Array(2401);
      vector[70] = 1;
      expect((await made.search(storeId, vector, null, 1))![0]!.cosine).toBeCloseTo(1, 2);
    } finally {
      await ownRows.close();
      await ownDb.close();
      await large.close();
      await model.close();
    }
  });

  test('goes with its store', async () => {
    await app.query(DeleteVectorStoreDocument, { input: { vectorStoreId: id } });
    await index.maintain(never);
    expect(await rows.query('select to_regclass($1) as there', [`skein_vectors.${id}`])).toEqual([{ there: null }]);
  });
});
