import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CreateAssistantDocument } from '../../src/generated/graphql/graphql.ts';
import { type TestDatabase, testDatabase } from '../database.ts';
import { ask } from './ask.ts';
import { auditReaders } from './audit-readers.ts';
import { auditRows } from './audit-rows.ts';
import { createFindings } from './findings.ts';
import { type Fleet, type Kill, openFleet, type Role } from './fleet.ts';
import { type Lane, openLane } from './lane.ts';
import { type Killer, startKiller } from './killer.ts';
import { createMoments } from './moments.ts';
import { createRandom } from './random.ts';
import type { Recoveries } from './recoveries.ts';
import { openWorld } from './world.ts';

export interface StormOptions {
  mode: 'embedded' | 'postgresql';
  /** Null = wake-ups by NOTIFY. */
  redisUrl: string | null;
  /** At least so many runs are started, and more until every target has been hit `hits` times. */
  runs: number;
  hits: number;
  /** After so many seconds nothing new is started, whatever was reached. */
  seconds: number;
  seed: string;
  /** Conversations at a time. */
  lanes: number;
  say(line: string): void;
}

export interface Storm {
  findings: readonly string[];
  kills: readonly Kill[];
  /** Milliseconds from each start of a process to listening. */
  starts: readonly number[];
  runs: number;
  threads: number;
  byStatus: Record<string, number>;
  byAttempts: Record<number, number>;
  superseded: number;
  interruptedCode: number;
  repeatedSearches: number;
  events: number;
  snapshots: number;
  reconnects: number;
  closes: ReadonlyMap<string, number>;
  recoveries: Recoveries;
  /** Milliseconds, all in all. */
  took: number;
}

const FUNCTION = {
  function: { name: 'ask_caller', parameters: { type: 'object', properties: { key: { type: 'string' } } } },
};
const LEASE = { LEASE_SECONDS: '3', HEARTBEAT_SECONDS: '1' };
/** From a heartbeat that was heard just before. */
const LEAST_LEASE_MS = 2000;
/** From the last kill: two leases would do, on a machine that has nothing else to do. */
const END_MS = 180_000;

/** Lets callers talk while processes are killed, then looks at what is left. */
export async function storm(options: StormOptions): Promise<Storm> {
  const { mode, redisUrl, seed, say } = options;
  const began = performance.now();
  const random = createRandom(seed);
  const findings = createFindings();
  const moments = createMoments();
  const closes = new Map<string, number>();
  const inFlight = new Map<string, number>();
  const calm = Promise.withResolvers<void>();
  const lanes: Lane[] = [];
  const embedded = mode === 'embedded';
  const roles: Role[] = embedded ? ['all'] : ['api', 'api', 'worker', 'worker'];
  const database = embedded ? await embeddedDatabase() : await testDatabase();
  const world = await openWorld({ moments, findings, random });
  let fleet: Fleet | null = null;
  let killer: Killer | null = null;
  try {
    const environment = {
      ...LEASE,
      LOG_LEVEL: 'warn',
      RUN_MAX_ATTEMPTS: '100',
      LOG_COMPACT_AFTER_SECONDS: '20',
      CHORES_EVERY_SECONDS: '5',
      ...(embedded ? {} : { DATABASE_POOL_SIZE: '5', REDIS_URL: redisUrl ?? '' }),
    };
    fleet = await openFleet({ database, roles, environment, world, findings, random });
    const up = fleet;
    const busy = (process: string): boolean => world.open(process) > 0 || (inFlight.get(process) ?? 0) > 0;
    const { createAssistant } = await ask(up, CreateAssistantDocument, {
      input: {
        model: 'test-model',
        tools: [FUNCTION, { fileSearch: {} }, { codeInterpreter: {} }],
        idempotencyKey: seed,
      },
    });
    const assistantId = createAssistant.assistant!.id;
    const peace = embedded ? ([600, 2000] as const) : ([100, 900] as const);
    const aimer = (killer = startKiller({ fleet: up, moments, random, peace, busy }));
    aimer.hitIdle();

    const started = (): number => lanes.reduce((sum, { runs }) => sum + runs.length, 0);
    const end = performance.now() + options.seconds * 1000;
    const mayStart = (): boolean =>
      performance.now() < end && (started() < options.runs || !aimer.hasHit(options.hits));
    let blown = false;
    const talkers = Array.from({ length: options.lanes }, async (_, i) => {
      for (let count = 1; mayStart(); count++) {
        const name = `t${i}-${count}`;
        const shared = { assistantId, fleet: up, world, moments, findings, closes, inFlight };
        const lane = await openLane({ ...shared, name, random: createRandom(`${seed} ${name}`), calm: calm.promise });
        lanes.push(lane);
        await lane.talk(mayStart);
      }
    });
    const talked = Promise.all(talkers).finally(() => (blown = true));
    const teller = tell();
    async function tell(): Promise<void> {
      for (let next = 15_000; !blown; next += 15_000) {
        while (!blown && performance.now() - began < next) await Promise.race([talked.catch(() => {}), pause(500)]);
        if (!blown)
          say(`  ${Math.round((performance.now() - began) / 1000)} s: ${started()} runs, ${up.kills.length} kills`);
      }
    }
    // The storm blows until nothing new is started; what is under way then ends in peace.
    while (mayStart()) await Promise.race([talked, pause(200)]);
    await aimer.stop();
    await up.whole();
    calm.resolve();
    say(`  calm after ${up.kills.length} kills; ${started()} runs were started`);
    findings.expect(aimer.hasHit(options.hits), `not every target was hit ${options.hits} times: too weak a storm`);
    const settled = await inTime(talked.then(() => Promise.all(lanes.map((lane) => lane.over()))));
    blown = true;
    await teller;
    if (!settled) for (const lane of lanes) stuck(lane, findings.add);
    else {
      aimer.hitIdle();
      const free = await inTime(Promise.all(lanes.map((lane) => lane.sayOneMore())));
      findings.expect(free, 'a thread is locked: a new run in it did not end');
    }
    await up.whole();
    const seen = await auditReaders({ fleet: up, lanes, findings, closes, runsAreOver: settled });
    await Promise.all(lanes.map((lane) => lane.close()));
    await up.close();
    const rows = await auditRows({ database, lanes, kills: up.kills, world, leaseMs: LEAST_LEASE_MS, findings });
    return {
      ...seen,
      ...rows,
      findings: findings.list,
      kills: up.kills,
      starts: up.starts,
      runs: started(),
      threads: lanes.length,
      closes,
      took: performance.now() - began,
    };
  } finally {
    calm.resolve();
    await Promise.allSettled([killer?.stop()]);
    await fleet?.close();
    await world.close();
    await database.dispose();
  }
}

/** Whether it came to its end before it was too late. */
async function inTime(work: Promise<unknown>): Promise<boolean> {
  const enough = new AbortController();
  const { signal } = enough;
  try {
    return await Promise.race([work.then(() => true), pause(END_MS, false, { signal })]);
  } finally {
    enough.abort();
  }
}

function stuck({ threadId, runs, reader }: Lane, add: (finding: string) => void): void {
  for (const { id, plan } of runs) {
    const known = reader.state.runs.find((run) => run.id === id);
    if (!known?.completedAt && !known?.cancelledAt && !known?.failedAt) {
      add(
        `run ${id} (${plan.tag}) of ${threadId} has not ended: its reader knows it as ${known?.status ?? 'not there'}`,
      );
    }
  }
}

async function embeddedDatabase(): Promise<TestDatabase> {
  const dataDir = await mkdtemp(join(tmpdir(), 'skein-test-'));
  return { databaseUrl: null, dataDir, dispose: () => rm(dataDir, { recursive: true, force: true }) };
}
