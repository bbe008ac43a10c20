import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { eventually } from '../eventually.ts';
import { createNotifyWake } from '../../src/work/notify-wake.ts';
import { createRedisWake } from '../../src/work/redis-wake.ts';
import { createLocalWake } from '../../src/work/wake.ts';
import { LOST, packLines } from '../../src/work/wake-line.ts';
import { serverDatabase, silent, TEST_DATABASE_URL } from '../database.ts';
import { type Gate, openGate } from './gate.ts';
import { wakeContract, type Ways } from './wake-contract.ts';

const TEST_REDIS_URL = process.env.TEST_REDIS_URL || null;
for (const [name, value] of Object.entries({ TEST_DATABASE_URL, TEST_REDIS_URL })) {
  if (!value) console.warn(`${name} is not set: wake-ups through it are NOT tested`);
}

describe('wake-ups within one process', () => {
  wakeContract({ open: () => Promise.resolve(createLocalWake()), cut: null, block: null, connections: null });
});

/** Calls through an object that is only there once the tests run. */
const through = (way: () => Ways): Ways => ({
  open: () => way().open(),
  cut: () => way().cut!(),
  block: () => way().block!(),
  connections: () => way().connections!(),
});

describe.skipIf(!TEST_DATABASE_URL)('wake-ups through NOTIFY (needs TEST_DATABASE_URL)', () => {
  let database: Awaited<ReturnType<typeof serverDatabase>>;
  let admin: pg.Client;
  let gate: Gate;
  let connectionString: string;
  beforeAll(async () => {
    database = await serverDatabase();
    admin = new pg.Client({ connectionString: TEST_DATABASE_URL! });
    await admin.connect();
    const { hostname, port } = new URL(database.url);
    gate = await openGate({ host: hostname, port: Number(port || 5432) });
    connectionString = Object.assign(new URL(database.url), { hostname: '127.0.0.1', port: String(gate.port) }).href;
  });
  afterAll(async () => {
    await gate.close();
    await admin.end();
    await database.drop();
  });

  const OURS = `from pg_stat_activity where application_name = 'skein wake-ups' and datname = $1`;
  const name = () => new URL(database.url).pathname.slice(1);
  wakeContract(
    through(() => ({
      open: () => createNotifyWake({ connection: { connectionString }, logger: silent }),
      async cut() {
        const { rowCount } = await admin.query(`select pg_terminate_backend(pid) ${OURS}`, [name()]);
        expect(rowCount).toBeGreaterThan(0);
      },
      async block() {
        gate.shut();
        return async () => gate.open();
      },
      connections: async () => Number((await admin.query(`select count(*) ${OURS}`, [name()])).rows[0].count),
    })),
  );

  test('are said with few statements, however many there are', async () => {
    const connection = { connectionString };
    const [a, b] = [
      await createNotifyWake({ connection, logger: silent }),
      await createNotifyWake({ connection, logger: silent }),
    ];
    const query = vi.spyOn(pg.Client.prototype, 'query');
    let heard = 0;
    const off = b.on(
      'stop',
      () => (heard += 1),
      () => {},
    );
    for (let i = 0; i < 1000; i++) a.wake('stop', `run_${i}`);
    await eventually(() => expect(heard).toBe(1000));
    const statements = query.mock.calls.length;
    query.mockRestore();
    off();
    await a.close();
    await b.close();
    console.log(`1000 wake-ups: ${statements} statement(s)`);
    expect(statements).toBeLessThanOrEqual(2);
  });

  test('are not said while there is nobody else, and who comes is told that something may have been missed', async () => {
    const open = () => createNotifyWake({ connection: { connectionString }, logger: silent, answerMs: 100 });
    const heard: string[] = [];
    const eavesdropper = new pg.Client({ connectionString: database.url });
    eavesdropper.on('notification', ({ payload }) => heard.push(...payload!.split('\n')));
    await eavesdropper.connect();
    await eavesdropper.query('listen skein_wake');
    const first = await open();
    await eventually(() => expect(first.carrier!.alone).toBe(true));
    first.wake('stop', 'for nobody');
    const second = await open();
    await eventually(() => expect(first.carrier!.alone || second.carrier!.alone).toBe(false));
    first.wake('stop', 'of the first');
    second.wake('stop', 'of the second');
    await eventually(() => expect(heard).toEqual(expect.arrayContaining(['stop of the first', 'stop of the second'])));
    expect(heard).toContain(LOST);
    expect(heard).not.toContain('stop for nobody');
    await first.close();
    await second.close();
    await eavesdropper.end();
  });
});

describe.skipIf(!TEST_REDIS_URL)('wake-ups through Redis (needs TEST_REDIS_URL)', () => {
  let admin: Redis;
  let gate: Gate;
  let url: string;
  beforeAll(async () => {
    admin = new Redis(TEST_REDIS_URL!);
    const { hostname, port } = new URL(TEST_REDIS_URL!);
    gate = await openGate({ host: hostname, port: Number(port || 6379) });
    url = Object.assign(new URL(TEST_REDIS_URL!), { hostname: '127.0.0.1', port: String(gate.port) }).href;
  });
  afterAll(async () => {
    await gate.close();
    await admin.quit();
  });
  let scope = 0;
  const open = (of = `skein-test:${process.pid}`) => createRedisWake({ url, scope: of, logger: silent });

  wakeContract(
    through(() => ({
      open: () => open(),
      // CLIENT KILL of those that came through the gate, and of nobody else's.
      async cut() {
        expect(gate.connections).toBeGreaterThan(0);
        for (const address of gate.ways) await admin.client('KILL', 'ADDR', address);
      },
      async block() {
        gate.shut();
        return async () => gate.open();
      },
      connections: async () => gate.connections,
    })),
  );

  test('carry texts to who listens to their channel, in order, and not to their sender', async () => {
    const name = `skein-test:${process.pid}:${scope++}`;
    const [a, b, stranger] = [await open(name), await open(name), await open(`${name}:other`)];
    const of = { a: [] as string[], b: [] as string[], stranger: [] as string[], missed: 0 };
    const offs = [
      a.carrier!.channels!.subscribe(
        't',
        (text) => of.a.push(text),
        () => {},
      ),
      b.carrier!.channels!.subscribe(
        't',
        (text) => of.b.push(text),
        () => (of.missed += 1),
      ),
      stranger.carrier!.channels!.subscribe(
        't',
        (text) => of.stranger.push(text),
        () => {},
      ),
    ];
    await eventually(() => expect(of.missed).toBe(1)); // from now on it hears everything
    const sent = Array.from({ length: 200 }, (_, i) => `text ${i}\nwith a second line and ${LOST}`);
    for (const text of sent) a.carrier!.channels!.publish('t', text);
    await eventually(() => expect(of.b).toEqual(sent));
    offs[1]!();
    a.carrier!.channels!.publish('t', 'nobody hears');
    b.carrier!.channels!.publish('t', 'the end');
    await eventually(() => expect(of.a).toEqual(['the end']));
    expect([of.b.length, of.stranger.length]).toEqual([200, 0]);
    for (const off of offs) off();
    for (const wake of [a, b, stranger]) await wake.close();
  });

  test('subscribe again by themselves when the connection is cut, and say so', async () => {
    const name = `skein-test:${process.pid}:${scope++}`;
    const [a, b] = [await open(name), await open(name)];
    const heard: string[] = [];
    let missed = 0;
    const off = b.carrier!.channels!.subscribe(
      't',
      (text) => heard.push(text),
      () => (missed += 1),
    );
    await eventually(() => expect(missed).toBe(1));
    gate.cut();
    await eventually(() => expect(missed).toBe(2));
    await eventually(() => expect([a.carrier!.problem, b.carrier!.problem]).toEqual([null, null]));
    a.carrier!.channels!.publish('t', 'again');
    await eventually(() => expect(heard).toEqual(['again']));
    off();
    await a.close();
    await b.close();
  });
});

describe('lines of wake-ups', () => {
  test('are packed whole, in order, each pack within its limit', () => {
    const lines = Array.from({ length: 500 }, (_, i) => `stop run_${'ü'.repeat(i % 40)}${i}`);
    const packs = packLines(lines, 400);
    expect(packs.flatMap((pack) => pack.split('\n'))).toEqual(lines);
    expect(Math.max(...packs.map((pack) => Buffer.byteLength(pack)))).toBeLessThanOrEqual(400);
    expect(packs.length).toBeLessThan(80);
  });
});
