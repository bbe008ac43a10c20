import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { createHashEmbedder } from '../../src/llm/embeddings-hash.ts';
import { createCorpus, type Corpus } from './corpus.ts';
import { extractionRates } from './extract.ts';
import { childrenCpuMs, cpuMs, postgresCpuMs, rssMb, run } from './processes.ts';
import { quantile } from './quantile.ts';

// Parts `ingest` and `search`: how fast files become findable, and how fast they are found.

export interface RetrievalOptions {
  databaseUrl: string;
  key: string;
  main: string;
}

const SIZES = [1000, 10_000, 100_000];
const FILES = 20;
/** Words of a section, which is one passage: about 150 tokens. */
const WORDS = 110;
const QUERIES = 200;
/** Minutes that one database is given to read everything in; sizes that it does not come to are left out, and that is said. */
const MOST_MINUTES = Number(process.env.BENCH_SEARCH_MINUTES || 15);
const MB = 1e6;

let port = 4740;

interface Server {
  readonly name: string;
  readonly pid: number;
  ask<Data>(query: string, variables?: object): Promise<Data>;
  upload(filename: string, text: string): Promise<string>;
  /** A connection past the graph: to look at what has no field there. */
  rows(): Promise<pg.Client>;
  close(): Promise<void>;
}

async function start(name: string, options: RetrievalOptions, databaseUrl: string | null): Promise<Server> {
  const dataDir = mkdtempSync(join(tmpdir(), 'skein-bench-retrieval-'));
  const at = String(++port);
  const environment = { PORT: at, SANDBOX_DRIVER: 'none', DATA_DIR: dataDir, DATABASE_URL: databaseUrl ?? '' };
  const key = { SKEIN_BOOTSTRAP_KEY: options.key, LOG_LEVEL: 'error', CHORES_EVERY_SECONDS: '1' };
  const running = await run(options.main, [], { ...environment, ...key }, /Skein listens/);
  const url = `http://127.0.0.1:${at}`;
  async function ask<Data>(query: string, variables: object = {}): Promise<Data> {
    const post = () =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${options.key}` },
        body: JSON.stringify({ query, variables }),
      });
    // While texts were made the server may have closed a connection that the client still takes for open.
    const response = await post().catch(post);
    const { data, errors } = (await response.json()) as { data: Data; errors?: object[] };
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }
  return {
    name,
    pid: running.pid,
    ask,
    async upload(filename, text) {
      const { createUpload } = await ask<{ createUpload: { uploadUrl: string } }>(
        'mutation ($filename: String!) { createUpload(input: { filename: $filename }) { uploadUrl } }',
        { filename },
      );
      const response = await fetch(createUpload.uploadUrl, { method: 'PUT', body: text });
      return ((await response.json()) as { id: string }).id;
    },
    async rows() {
      const socket = { host: join(dataDir, 'sock'), port: 5432, user: 'postgres', database: 'postgres', password: '', ssl: false };
      const client = new pg.Client(databaseUrl ? { connectionString: databaseUrl } : socket);
      await client.connect();
      return client;
    },
    async close() {
      await running.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const servers = (options: RetrievalOptions): (() => Promise<Server>)[] => [
  () => start('PostgreSQL', options, options.databaseUrl),
  () => start('embedded', options, null),
];

interface Counts {
  inProgress: number;
  completed: number;
  failed: number;
}

/** Makes a store of these files and waits until they are read in, or for so long; the store, and how long it took. */
async function read(server: Server, fileIds: readonly string[], strategy: object, mostMs: number) {
  const { createVectorStore } = await server.ask<{ createVectorStore: { vectorStore: { id: string } } }>(
    'mutation { createVectorStore(input: {}) { vectorStore { id } } }',
  );
  const { id } = createVectorStore.vectorStore;
  const started = performance.now();
  await server.ask(
    'mutation ($id: ID!, $files: [VectorStoreFileInput!]!) { addVectorStoreFiles(input: { vectorStoreId: $id, files: $files }) { userErrors { message } } }',
    { id, files: fileIds.map((fileId, i) => ({ fileId, attributes: { number: i }, ...strategy })) },
  );
  let counts: Counts;
  do {
    await setTimeout(50);
    const { vectorStore } = await server.ask<{ vectorStore: { fileCounts: Counts } }>(
      'query ($id: ID!) { vectorStore(id: $id) { fileCounts { inProgress completed failed } } }',
      { id },
    );
    counts = vectorStore.fileCounts;
  } while (counts.inProgress > 0 && performance.now() - started < mostMs);
  if (counts.failed > 0) throw new Error(`${counts.failed} files failed`);
  return { id, ms: performance.now() - started, done: counts.inProgress === 0 };
}

/** Bytes a second through each stage, and through all of them as a caller has it. */
export async function ingestion(options: RetrievalOptions): Promise<void> {
  console.log('reading files in: text and passages out of files of the same words (median of 5, one reading process)');
  await extractionRates();

  const corpus = createCorpus('ingest');
  // Long ones, so that passages are as large as they are by default and overlap.
  const sections = Array.from({ length: 1000 }, (_, i) => corpus.section(i, 1200));
  const text = sections.join('\n');
  const embedder = createHashEmbedder();
  const passages = sections.flatMap((section) => [section.slice(0, section.length / 2), section.slice(section.length / 2)]);
  const started = performance.now();
  await embedder.embed(passages, new AbortController().signal);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `embedding with hash-768: ${(text.length / MB / seconds).toFixed(1)} MB/s, ${Math.round(passages.length / seconds)} passages of ${Math.round(text.length / passages.length)} characters a second`,
  );

  const each = sections.length / FILES;
  const files = Array.from({ length: FILES }, (_, i) => sections.slice(i * each, (i + 1) * each).join('\n'));
  for (const open of servers(options)) {
    const server = await open();
    try {
      const fileIds: string[] = [];
      for (const [i, file] of files.entries()) fileIds.push(await server.upload(`file-${i}.md`, file));
      const cpu = (): number[] => [cpuMs(server.pid), childrenCpuMs(server.pid), postgresCpuMs()];
      const before = cpu();
      const { id, ms } = await read(server, fileIds, {}, 600_000);
      const [own, readers, postgres] = cpu().map((now, i) => Math.round((now - before[i]!) / (text.length / MB)));
      const rows = await server.rows();
      const { rows: counted } = await rows.query('select chunks from vector_store where id = $1', [id]);
      await rows.end();
      const { chunks } = counted[0] as { chunks: number };
      console.log(
        `all of it, ${server.name.padEnd(10)}: ${(text.length / MB / (ms / 1000)).toFixed(2)} MB/s, ${Math.round(chunks / (ms / 1000))} passages of up to 800 tokens a second ` +
          `(${FILES} files, ${(text.length / MB).toFixed(1)} MB, ${chunks} passages; CPU ms a MB: server ${own}, reading processes ${readers}, PostgreSQL ${postgres})`,
      );
    } finally {
      await server.close();
    }
  }
  console.log();
}

const SEARCH = `query ($id: ID!, $query: String!, $filter: AttributeFilterInput) {
  vectorStore(id: $id) { search(query: $query, filter: $filter) { fileId score text location { headingPath } } }
}`;

async function measure(server: Server, id: string, questions: readonly { query: string; heading: string }[], filter: object | null) {
  const taken: number[] = [];
  let hits = 0;
  const cpu = (): [number, number] => [cpuMs(server.pid), postgresCpuMs()];
  let before = cpu();
  for (const [i, { query, heading }] of questions.entries()) {
    const started = performance.now();
    const { vectorStore } = await server.ask<{ vectorStore: { search: { location: { headingPath: string[] } }[] } }>(SEARCH, { id, query, filter });
    if (taken.length === 0 && i < questions.length / 10) {
      before = cpu();
      continue; // the first ones warm up
    }
    taken.push(performance.now() - started);
    if (vectorStore.search.some(({ location }) => location.headingPath.includes(heading))) hits += 1;
  }
  const [own, postgres] = cpu().map((now, i) => ((now - before[i]!) / taken.length).toFixed(1));
  const cpuSaid = `CPU ms a search: server ${own}, PostgreSQL ${postgres}`;
  return { p50: quantile(taken, 0.5), p95: quantile(taken, 0.95), hits: hits / taken.length, cpu: cpuSaid };
}

/** Waits until the store's vectors are in the database's index, where it has one and the store is large enough. */
async function indexed(rows: pg.Client, id: string, chunks: number, mostMs: number): Promise<string> {
  const { rowCount } = await rows.query(`select from pg_extension where extname = 'vector'`);
  if (!rowCount || chunks < 10_000) return 'compared one by one';
  const end = performance.now() + mostMs;
  for (;;) {
    const { rows: found } = await rows.query(
      `select s.indexed and not exists (select from vector_store_file f where f.vector_store_id = s.id and f.indexed_epoch is distinct from f.epoch) as done
from vector_store s where s.id = $1`,
      [id],
    );
    if ((found[0] as { done: boolean }).done) return 'HNSW';
    if (performance.now() > end) return 'HNSW not done in time, so partly compared';
    await setTimeout(500);
  }
}

function filesOf(corpus: Corpus, size: number): { files: string[]; sections: string[] } {
  const sections = Array.from({ length: size }, (_, i) => corpus.section(i, WORDS));
  const each = size / FILES;
  return { sections, files: Array.from({ length: FILES }, (_, i) => sections.slice(i * each, (i + 1) * each).join('\n')) };
}

/** p50 and p95 of a search over HTTP, one after the other, in stores of three sizes. */
export async function searching(options: RetrievalOptions): Promise<void> {
  console.log(`searches over HTTP, one after the other (${QUERIES} questions, 10 results; passages of about 150 tokens, hash-768)`);
  for (const open of servers(options)) {
    const server = await open();
    const rows = await server.rows();
    const end = performance.now() + MOST_MINUTES * 60_000;
    try {
      for (const size of SIZES) {
        const corpus = createCorpus(`search ${size}`);
        const { files, sections } = filesOf(corpus, size);
        const fileIds: string[] = [];
        for (const [i, file] of files.entries()) fileIds.push(await server.upload(`file-${i}.md`, file));
        const strategy = { chunkingStrategy: { maxChunkSizeTokens: 250, chunkOverlapTokens: 0 } };
        const { id, ms, done } = await read(server, fileIds, strategy, end - performance.now());
        if (!done) {
          console.log(`  ${server.name.padEnd(10)} ${String(size).padStart(6)} passages: not read in within ${MOST_MINUTES} minutes (BENCH_SEARCH_MINUTES)`);
          break;
        }
        const { rows: counted } = await rows.query('select chunks from vector_store where id = $1', [id]);
        const { chunks } = counted[0] as { chunks: number };
        const before = performance.now();
        const how = await indexed(rows, id, chunks, end - before);
        const indexing = how === 'HNSW' ? `, indexed in ${Math.round((performance.now() - before) / 1000)} s more` : '';
        const questions = Array.from({ length: Math.round(QUERIES * 1.1) }, (_, i) => {
          const section = sections[(i * 7919) % size]!;
          return { query: corpus.question(section), heading: /^## (.*)$/m.exec(section)![1]! };
        });
        const all = await measure(server, id, questions, null);
        const some = await measure(server, id, questions, { in: { key: 'number', values: [3, 14] } });
        console.log(
          `  ${server.name.padEnd(10)} ${String(chunks).padStart(6)} passages: p50 ${all.p50.toFixed(1)} ms, p95 ${all.p95.toFixed(1)} ms; ` +
            `with a filter that leaves a tenth p50 ${some.p50.toFixed(1)} ms, p95 ${some.p95.toFixed(1)} ms ` +
            `(${all.cpu}; vectors: ${how}; the section asked about among the ten: ${Math.round(all.hits * 100)} %; read in ${Math.round(ms / 1000)} s${indexing}; server ${rssMb(server.pid).toFixed(0)} MB)`,
        );
      }
    } finally {
      await rows.end();
      await server.close();
    }
  }
  console.log();
}
