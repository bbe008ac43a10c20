import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type Answer, direct, floor, type Place, skein, type Target } from './clients.ts';
import { across, claims, crowd } from './cluster.ts';
import { cpuMs, postgresCpuMs, rssMb, run, type Running } from './processes.ts';
import { median, quantile } from './quantile.ts';
import { nestedRead, longThread } from './reads.ts';
import { ingestion, searching } from './retrieval.ts';

// `npm run bench [part …]`: see README.md beside this file for what is measured. Parts: first, fast, many, most,
// reads, claims, across, crowd, ingest, search.

const here = (name: string) => new URL(name, import.meta.url).pathname;
const SERVER = process.env.TEST_DATABASE_URL || 'postgres://postgres@127.0.0.1:5432/postgres';
const wanted = process.argv.slice(2);
const wants = (part: string) => wanted.length === 0 || wanted.includes(part);

const ratio = (a: number, b: number) => `${(a / b).toFixed(2)}×`;
const gapsOf = ({ pieces }: Answer) => pieces.slice(1).map((at, i) => at - pieces[i]!);

interface Measured {
  target: Target;
  process: Running | null;
}

async function main(): Promise<void> {
  const names = ['floor', 'skein', 'cluster', 'retrieval'].map((name) => `skein_bench_${name}_${randomBytes(4).toString('hex')}`);
  const admin = new pg.Client({ connectionString: SERVER });
  await admin.connect();
  for (const name of names) await admin.query(`create database ${name}`);
  const [floorUrl, skeinUrl, clusterUrl, retrievalUrl] = names.map(
    (name) => Object.assign(new URL(SERVER), { pathname: `/${name}` }).href,
  ) as [string, string, string, string];
  const dataDir = mkdtempSync(join(tmpdir(), 'skein-bench-'));
  const key = `sk-bench-${randomBytes(16).toString('hex')}`;
  const running: Running[] = [];
  try {
    const model = await run(here('model-server.mjs'), ['4710'], {}, /mock on/);
    running.push(model);
    const modelUrl = 'http://127.0.0.1:4710/v1';
    const floorProcess = await run(
      here('floor.mjs'),
      [],
      { PORT: '4711', MOCK_URL: modelUrl, DATABASE_URL: floorUrl },
      /floor raw/,
    );
    running.push(floorProcess);
    const skeinProcess = await run(
      here('../../src/main.ts'),
      [],
      {
        PORT: '4712',
        SANDBOX_DRIVER: 'none',
        DATA_DIR: dataDir,
        DATABASE_URL: process.env.BENCH_EMBEDDED ? '' : skeinUrl,
        OPENAI_BASE_URL: modelUrl,
        SKEIN_BOOTSTRAP_KEY: key,
        LOG_LEVEL: 'warn',
        RUN_CONCURRENCY: '2000',
        NODE_OPTIONS: process.env.BENCH_NODE_OPTIONS ?? '',
      },
      /Skein listens/,
    );
    running.push(skeinProcess);
    const url = 'http://127.0.0.1:4712';
    const all: Measured[] = [
      { target: direct(modelUrl), process: null },
      { target: floor(4711), process: floorProcess },
      { target: skein(url, key), process: skeinProcess },
    ];
    console.log(
      `Skein on ${process.env.BENCH_EMBEDDED ? 'the embedded database' : 'PostgreSQL'}, Node ${process.version}. Ratios count, absolute times are this machine's.\n`,
    );
    const cluster = {
      modelUrl,
      databaseUrl: clusterUrl,
      key,
      redisUrl: process.env.TEST_REDIS_URL || null,
      main: here('../../src/main.ts'),
    };
    if (wants('first')) await firstDelta(all);
    if (wants('fast')) await fastAnswer(all);
    if (wants('many')) await manyRuns(all);
    if (wants('most')) await mostStreams(all);
    if (wants('reads')) {
      await nestedRead(url, key, skeinUrl, skeinProcess.pid);
      await longThread(url, key, skeinUrl, 4711);
    }
    if (wants('claims')) await claims(cluster);
    if (wants('across')) await across(cluster);
    if (wants('crowd')) await crowd(cluster);
    const retrieval = { databaseUrl: retrievalUrl, key, main: here('../../src/main.ts') };
    if (wants('ingest')) await ingestion(retrieval);
    if (wants('search')) await searching(retrieval);
    console.log(
      `memory at the end: skein ${rssMb(skeinProcess.pid).toFixed(0)} MB, floor ${rssMb(floorProcess.pid).toFixed(0)} MB`,
    );
  } finally {
    for (const each of running.reverse()) await each.stop();
    for (const name of names) await admin.query(`drop database ${name} with (force)`);
    await admin.end();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Asks one target after the other, round by round, so that what disturbs the machine disturbs all alike. */
async function interleaved(all: Measured[], rounds: number, directive: string): Promise<Answer[][]> {
  const places = await Promise.all(all.map(({ target }) => target.open(1).then(([place]) => place!)));
  const answers: Answer[][] = all.map(() => []);
  for (let round = -Math.ceil(rounds / 5); round < rounds; round++) {
    for (const [at, place] of places.entries()) {
      const answer = await place.ask(directive);
      if (round >= 0) answers[at]!.push(answer); // the rounds before are for warming up
    }
  }
  for (const place of places) place.close();
  return answers;
}

async function firstDelta(all: Measured[]): Promise<void> {
  const answers = await interleaved(all, 200, '[[n=5 d=5 f=5]]');
  const base = median(answers[0]!.map(({ pieces }) => pieces[0]!));
  console.log('startRun → first delta, threadEvents open (200 rounds; aim: at most 5 ms over direct)');
  for (const [at, { target }] of all.entries()) {
    const firsts = answers[at]!.map(({ pieces }) => pieces[0]!);
    console.log(
      `  ${target.name.padEnd(7)} median ${median(firsts).toFixed(2)} ms, p95 ${quantile(firsts, 0.95).toFixed(2)} ms, over direct ${(median(firsts) - base).toFixed(2)} ms`,
    );
  }
  console.log();
}

async function fastAnswer(all: Measured[]): Promise<void> {
  const answers = await interleaved(all, 30, '[[n=1000 d=0]]');
  const rates = answers.map((each) => median(each.map(({ tokens, total }) => (tokens / total) * 1000)));
  console.log('1,000 tokens without delay (30 rounds; aim: 40k tokens/s, as much as the floor)');
  for (const [at, { target }] of all.entries()) {
    console.log(
      `  ${target.name.padEnd(7)} ${(rates[at]! / 1000).toFixed(1)}k tokens/s, ${ratio(rates[at]!, rates[1]!)} the floor`,
    );
  }
  console.log();
}

async function manyAt(
  places: Place[],
  rounds: number,
  directive: string,
): Promise<{ answers: Answer[]; seconds: number }> {
  const start = performance.now();
  const answers = await Promise.all(
    places.map(async (place) => {
      const mine: Answer[] = [];
      for (let round = 0; round < rounds; round++) mine.push(await place.ask(directive));
      return mine;
    }),
  );
  return { answers: answers.flat(), seconds: (performance.now() - start) / 1000 };
}

async function manyRuns(all: Measured[]): Promise<void> {
  console.log(
    '200 concurrent runs of 100 tokens at 20 ms, twice (3 interleaved passes, medians; aim: CPU at most 8 ms a run)',
  );
  const opened = await Promise.all(all.map(({ target }) => target.open(200)));
  const rows = all.map(
    () =>
      [] as {
        rate: number;
        gap: number;
        lag50: number;
        lag95: number;
        first: number;
        server: number;
        database: number;
      }[],
  );
  for (let pass = -1; pass < 3; pass++) {
    for (const [at, { process: server }] of all.entries()) {
      const before = [server ? cpuMs(server.pid) : 0, postgresCpuMs()] as const;
      const { answers, seconds } = await manyAt(opened[at]!, 2, '[[n=100 d=20]]');
      const after = [server ? cpuMs(server.pid) : 0, postgresCpuMs()] as const;
      if (pass < 0) continue;
      rows[at]!.push({
        rate: answers.length / seconds,
        gap: quantile(answers.flatMap(gapsOf), 0.95),
        lag50: quantile(
          answers.flatMap(({ lags }) => lags),
          0.5,
        ),
        lag95: quantile(
          answers.flatMap(({ lags }) => lags),
          0.95,
        ),
        first: quantile(
          answers.map(({ pieces }) => pieces[0]!),
          0.95,
        ),
        server: (after[0] - before[0]) / answers.length,
        database: (after[1] - before[1]) / answers.length,
      });
    }
  }
  for (const [at, { target }] of all.entries()) {
    const of = (pick: (row: (typeof rows)[0][0]) => number) => median(rows[at]!.map(pick));
    const cpu =
      target.name === 'direct'
        ? ''
        : `, CPU ${of(({ server }) => server).toFixed(1)} + ${of(({ database }) => database).toFixed(1)} (PostgreSQL) = ${of(({ server, database }) => server + database).toFixed(1)} ms a run`;
    console.log(
      `  ${target.name.padEnd(7)} ${of(({ rate }) => rate).toFixed(1)} runs/s, gap p95 ${of(({ gap }) => gap).toFixed(1)} ms, ` +
        `lag p50/p95 ${of(({ lag50 }) => lag50).toFixed(1)}/${of(({ lag95 }) => lag95).toFixed(1)} ms, first delta p95 ${of(({ first }) => first).toFixed(0)} ms${cpu}`,
    );
  }
  for (const place of opened.flat()) place.close();
  console.log();
}

async function mostStreams(all: Measured[]): Promise<void> {
  console.log('most streams of 20 ms a token with a p95 lag under 30 ms (steps of 50; aim: 300)');
  for (const { target } of all.slice(1)) {
    let most = 0;
    let lag = 0;
    for (let streams = 100; streams <= 800; streams += 50) {
      const places = await target.open(streams);
      const { answers } = await manyAt(places, 1, '[[n=200 d=20]]');
      for (const place of places) place.close();
      // The start of all at once is another figure: what counts here is the stream once it runs.
      const now = quantile(
        answers.flatMap(({ lags }) => lags.slice(100)),
        0.95,
      );
      if (now >= 30) break;
      most = streams;
      lag = now;
    }
    console.log(`  ${target.name.padEnd(7)} ${most} (p95 lag there ${lag.toFixed(1)} ms)`);
  }
  console.log();
}

await main();
