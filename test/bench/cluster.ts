import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { type Answer, direct, skein, type Target } from './clients.ts';
import { rssMb, run, type Running } from './processes.ts';
import { median, quantile } from './quantile.ts';

/** What is measured with several processes, and with many runs in one. */
export interface ClusterOptions {
  modelUrl: string;
  databaseUrl: string;
  key: string;
  redisUrl: string | null;
  main: string;
}

let port = 4720;

/** A Skein of its own on the bench's database. */
async function node(options: ClusterOptions, environment: Record<string, string>): Promise<Running & { url: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'skein-bench-node-'));
  const at = String(++port);
  const running = await run(
    options.main,
    [],
    {
      PORT: at,
      SANDBOX_DRIVER: 'none',
      DATA_DIR: dataDir,
      DATABASE_URL: options.databaseUrl,
      OPENAI_BASE_URL: options.modelUrl,
      SKEIN_BOOTSTRAP_KEY: options.key,
      LOG_LEVEL: 'warn',
      RUN_CONCURRENCY: '2000',
      ...environment,
    },
    /Skein listens/,
  );
  return {
    pid: running.pid,
    url: `http://127.0.0.1:${at}`,
    get banner() {
      return running.banner;
    },
    async stop() {
      await running.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const BACKLOG = 2000;

/** A backlog of short runs, and four workers that find it. */
export async function claims(options: ClusterOptions): Promise<void> {
  const api = await node(options, { ROLE: 'api' });
  const workers: Running[] = [];
  const client = new pg.Client({ connectionString: options.databaseUrl });
  await client.connect();
  try {
    const ids = await enqueue(api.url, options.key);
    workers.push(...(await Promise.all([1, 2, 3, 4].map(() => node(options, { ROLE: 'worker' })))));
    const done = async () => {
      const { rows } = await client.query(
        `select count(*) filter (where status = 'COMPLETED')::int as done,
extract(epoch from max(started_at) - min(started_at))::float as claiming,
extract(epoch from max(completed_at) - min(started_at))::float as executing,
count(distinct owner)::int as workers from run where id = any($1)`,
        [ids],
      );
      return rows[0] as { done: number; claiming: number; executing: number };
    };
    let now = await done();
    while (now.done < ids.length) {
      await setTimeout(200);
      now = await done();
    }
    console.log(`${BACKLOG} waiting runs of one token, four workers on this machine's cores`);
    console.log(
      `  claimed ${(ids.length / now.claiming).toFixed(0)} runs/s, executed ${(ids.length / now.executing).toFixed(0)} runs/s\n`,
    );
  } finally {
    await client.end();
    for (const each of [...workers, api]) await each.stop();
  }
}

async function enqueue(url: string, key: string): Promise<string[]> {
  const ask = async <Result>(query: string, variables: object): Promise<Result> => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify({ query, variables }),
    });
    return ((await response.json()) as { data: Result }).data;
  };
  const { createAssistant } = await ask<{ createAssistant: { assistant: { id: string } } }>(
    'mutation { createAssistant(input: { model: "mock" }) { assistant { id } } }',
    {},
  );
  const start = 'mutation ($input: StartRunInput!) { startRun(input: $input) { run { id } userErrors { message } } }';
  const thread = { messages: [{ content: [{ text: '[[n=1 d=0]]' }] }] };
  const ids: string[] = [];
  while (ids.length < BACKLOG) {
    const batch = Array.from({ length: 50 }, () =>
      ask<{ startRun: { run: { id: string } } }>(start, { input: { assistantId: createAssistant.assistant.id, thread } }),
    );
    ids.push(...(await Promise.all(batch)).map(({ startRun }) => startRun.run.id));
  }
  return ids;
}

/** Start → first delta, with the run executed where it was started, and on another node. */
export async function across(options: ClusterOptions): Promise<void> {
  const nodes: Running[] = [];
  const add = async (environment: Record<string, string>) => {
    const started = await node(options, environment);
    nodes.push(started);
    return started;
  };
  try {
    // One pair after the other, each alone on the database: a worker of another pair would take its runs.
    const measured: { name: string; firsts: number[] }[] = [
      { name: 'model server read directly', firsts: await firsts(direct(options.modelUrl)) },
    ];
    const pairs: [string, Record<string, string>][] = [['LISTEN/NOTIFY', {}]];
    if (options.redisUrl) pairs.push(['Redis', { REDIS_URL: options.redisUrl }]);
    else console.log('*** no TEST_REDIS_URL: Redis is left out');
    const one = await add({});
    measured.push({ name: 'one node', firsts: await firsts(skein(one.url, options.key)) });
    await one.stop();
    nodes.pop();
    for (const [name, environment] of pairs) {
      const api = await add({ ROLE: 'api', ...environment });
      await add({ ROLE: 'worker', ...environment });
      measured.push({ name: `two nodes, ${name}`, firsts: await firsts(skein(api.url, options.key)) });
      for (const each of nodes.splice(0)) await each.stop();
    }
    console.log('startRun → first delta, executed on another node (200 rounds each, one after the other)');
    for (const each of measured) {
      console.log(
        `  ${each.name.padEnd(26)} p50 ${median(each.firsts).toFixed(2)} ms, p95 ${quantile(each.firsts, 0.95).toFixed(2)} ms`,
      );
    }
    console.log();
  } finally {
    for (const each of nodes) await each.stop();
  }
}

async function firsts(target: Target): Promise<number[]> {
  const [place] = await target.open(1);
  const found: number[] = [];
  for (let round = -20; round < 200; round++) {
    const { pieces } = await place!.ask('[[n=5 d=5 f=5]]');
    if (round >= 0) found.push(pieces[0]!); // the rounds before are for warming up
  }
  place!.close();
  return found;
}

const CROWDS = [125, 250, 500];
const TOKENS = 500;

/** Many streaming runs in one process: what its readers see, beside the same read directly, and what a run takes. */
export async function crowd(options: ClusterOptions): Promise<void> {
  console.log(`streaming runs at 20 ms a token on one process, while all of them stream (aim: gap at most 2× at 500)`);
  for (const size of CROWDS) {
    const server = await node(options, {});
    try {
      const own = await streams(direct(options.modelUrl), size, server.pid);
      const ours = await streams(skein(server.url, options.key), size, server.pid);
      for (const [name, { gap50, gap95, lag }] of [['direct', own], ['skein', ours]] as const) {
        console.log(
          `  ${size} ${name.padEnd(7)} gap p50 ${gap50.toFixed(1)} ms, p95 ${gap95.toFixed(1)} ms ` +
            `(${(gap95 / own.gap95).toFixed(2)}×), lag p95 ${lag.toFixed(1)} ms`,
        );
      }
      console.log(`  ${size} memory ${ours.memory.toFixed(0)} kB a run at the peak`);
    } finally {
      await server.stop();
    }
  }
  console.log();
}

async function streams(target: Target, size: number, pid: number) {
  const places = await target.open(size);
  await Promise.all(places.map((place) => place.ask('[[n=5 d=20]]')));
  const before = rssMb(pid);
  let peak = before;
  const watch = setInterval(() => (peak = Math.max(peak, rssMb(pid))), 100);
  const answers = await Promise.all(places.map((place) => place.ask(`[[n=${TOKENS} d=20]]`)));
  clearInterval(watch);
  for (const place of places) place.close();
  const together = whileAllStream(answers);
  if (together.length === 0) throw new Error(`the first of ${size} streams had ended before the last one began`);
  return {
    gap50: median(together),
    gap95: quantile(together, 0.95),
    lag: quantile(
      answers.flatMap(({ lags }) => lags.slice(TOKENS / 2)),
      0.95,
    ),
    memory: ((peak - before) * 1024) / size,
  };
}

/** Gaps between the moments when the last stream has begun and the first one ends: the rush of starts is another figure. */
function whileAllStream(answers: Answer[]): number[] {
  const times = answers.map(({ asked, pieces }) => pieces.map((at) => asked + at));
  const begun = Math.max(...times.map((mine) => mine[0]!));
  const over = Math.min(...times.map((mine) => mine.at(-1)!));
  return times.flatMap((mine) => {
    const within = mine.filter((at) => at >= begun && at <= over);
    return within.slice(1).map((at, i) => at - within[i]!);
  });
}
