import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventually } from '../eventually.ts';
import { type Database, openDatabase } from '../../src/db/open-database.ts';
import { type Chore, type Chores, createChores } from '../../src/work/chores.ts';
import { besides } from '../besides.ts';
import { silent, TEST_DATABASE_URL, testDatabase, type TestDatabase } from '../database.ts';

/** Milliseconds: short, so that a test sees many turns. */
const EVERY = 5;

let database: TestDatabase;
let closing: (() => Promise<unknown>)[];
let lines: Record<string, unknown>[];

const logger = pino({ level: 'info', base: undefined }, { write: (line) => void lines.push(JSON.parse(line)) });
const said = (message: string | RegExp) => lines.filter(({ msg }) => new RegExp(message).test(String(msg)));

/** Waits as long as a busy machine may take. */

beforeEach(async () => {
  database = await testDatabase();
  closing = [];
  lines = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  await database.dispose();
});

async function process(): Promise<Database> {
  const { databaseUrl, dataDir } = database;
  const db = await openDatabase({ databaseUrl, dataDir, poolSize: 2, logger: silent });
  closing.push(() => db.close());
  return db;
}

function doing(db: Database, ...work: (Partial<Chore> & Pick<Chore, 'work'>)[]): Chores {
  const chores = work.map((chore) => ({ name: 'a chore', everyMs: EVERY, ...chore }));
  const made = createChores({ db, chores, logger });
  closing.push(() => made.close());
  return made;
}

describe('a chore', () => {
  test('is done again and again, and first after a random part of its interval', async () => {
    const random = vi.spyOn(Math, 'random');
    try {
      let turns = 0;
      let never = 0;
      random.mockReturnValueOnce(0).mockReturnValueOnce(0.999);
      const nothing = Promise.resolve({});
      doing(
        await process(),
        { name: 'often', work: () => (++turns, nothing) },
        { name: 'later', everyMs: 3_600_000, work: () => (++never, nothing) },
      );
      await eventually(() => expect(turns).toBeGreaterThan(5));
      expect(never).toBe(0);
    } finally {
      random.mockRestore();
    }
  });

  test('that fails is logged and tried again, and the others go on', async () => {
    let turns = 0;
    let others = 0;
    doing(
      await process(),
      {
        name: 'fails',
        work: async () => {
          if (++turns < 3) throw new Error('no luck today');
          return { things: 7 };
        },
      },
      { name: 'goes on', work: async () => ((others += 1), {}) },
    );
    await eventually(() => expect(said('chore done')).not.toEqual([]));
    await eventually(() => expect(others).toBeGreaterThan(2));
    expect(said('failed').slice(0, 2)).toMatchObject([
      { level: 50, chore: 'fails', err: { message: 'no luck today' } },
      { level: 50, chore: 'fails' },
    ]);
    expect(said('failed')).toHaveLength(2);
  });

  test('says in one line what it has done, and nothing when that was nothing', async () => {
    const done: Record<string, number>[] = [
      { runs: 3, deltas: 80 },
      { runs: 0, deltas: 0 },
      {},
      { runs: 1, deltas: 0 },
    ];
    let turns = 0;
    doing(await process(), { work: async () => done[turns++] ?? {} });
    await eventually(() => expect(turns).toBeGreaterThan(done.length));
    expect(said('')).toMatchObject([
      { chore: 'a chore', runs: 3, deltas: 80, ms: expect.any(Number) },
      { chore: 'a chore', runs: 1, deltas: 0, ms: expect.any(Number) },
    ]);
  });

  test('that is under way is told to stop, and waited for', async () => {
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let turns = 0;
    let stopped = false;
    const chores = doing(await process(), {
      async work(signal) {
        turns += 1;
        signal.addEventListener('abort', () => (stopped = true));
        begun.resolve();
        await goOn.promise;
        return { steps: 1 };
      },
    });
    await begun.promise;
    let closed = false;
    const close = chores.close().then(() => (closed = true));
    await eventually(() => expect(stopped).toBe(true));
    expect(closed).toBe(false);
    goOn.resolve();
    await close;
    expect(said('chore done')).toMatchObject([{ steps: 1 }]);
    expect(turns).toBe(1);
  });
});

const servers = TEST_DATABASE_URL ? '' : ' (skipped: it takes a PostgreSQL server, TEST_DATABASE_URL)';

describe.skipIf(!TEST_DATABASE_URL)(`two processes${servers}`, () => {
  test('are never at the same chore at once, and at different ones as they please', async () => {
    const [one, other] = [await process(), await process()];
    const turns = new Map<string, number>();
    let atOnce = 0;
    let most = 0;
    let together = 0;
    const chore = (who: string, name: string): Chore => ({
      name,
      everyMs: EVERY,
      async work() {
        if (name === 'shared') most = Math.max(most, ++atOnce);
        turns.set(who + name, (turns.get(who + name) ?? 0) + 1);
        await one.query({ name: 'breath', text: 'select 1', values: [] });
        if (name === 'shared') atOnce -= 1;
        return {};
      },
    });
    const both = Promise.withResolvers<void>();
    const meeting = (name: string): Chore => ({
      name,
      everyMs: EVERY,
      async work() {
        if (++together === 2) both.resolve();
        await both.promise;
        return {};
      },
    });
    doing(one, chore('one', 'shared'), meeting('own'));
    doing(other, chore('other', 'shared'), meeting("the other's own"));
    await both.promise;
    await eventually(() => {
      expect(turns.get('oneshared')).toBeGreaterThan(20);
      expect(turns.get('othershared')).toBeGreaterThan(20);
    });
    expect(most).toBe(1);
  });

  test('follow each other when one is lost in the middle', async () => {
    const [one, other] = [await process(), await process()];
    const begun = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let others = 0;
    doing(one, {
      async work(signal) {
        signal.addEventListener('abort', () => lost.resolve());
        begun.resolve();
        await goOn.promise;
        return {};
      },
    });
    await begun.promise;
    let tries = 0;
    const exclusively: Database['exclusively'] = (name, work) => (++tries, other.exclusively(name, work));
    const watched: Database = { ...other, exclusively };
    doing(watched, { work: async () => ({ turns: ++others }) });
    await eventually(() => expect(tries).toBeGreaterThan(3));
    expect(others).toBe(0);

    const client = besides(database);
    await client.connect();
    const cut = await client.query(
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
and database = (select oid from pg_database where datname = current_database())`,
    );
    await client.end();
    expect(cut.rowCount).toBe(1);
    await lost.promise;
    await eventually(() => expect(others).toBeGreaterThan(0));
    expect(said('failed')).toEqual([]);
    goOn.resolve();
  });
});
