import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { type Database, openDatabase } from '../../src/db/open-database.ts';
import { DeleteThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { compactRuns } from '../../src/runs/compaction.ts';
import { besides } from '../besides.ts';
import { silent, TEST_DATABASE_URL } from '../database.ts';
import { startServerProcess } from '../engine/server-process.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { type LogRows, logRows } from './log-rows.ts';
import { createScripts, type Scripts } from './scripts.ts';
import { createAssistant, foldAll, stored, type Story, tell, visible } from './story.ts';
import { watchThread } from './watch.ts';

const servers = TEST_DATABASE_URL ? '' : ' (skipped: they take a PostgreSQL server, TEST_DATABASE_URL)';
const AFTER_MS = 3_600_000;

let model: HeldModel;
let skein: TestSkein;
let rows: Rows;
let kept: LogRows;
let assistant: string;
let scripts: Scripts;
let closing: (() => Promise<unknown>)[];

describe.skipIf(!TEST_DATABASE_URL)(`processes that compact the same log${servers}`, () => {
  beforeAll(async () => {
    model = await openHeldModel();
    // It leaves the log alone itself: who compacts here are the tests.
    skein = await startSkein({ OPENAI_BASE_URL: model.url });
    rows = await openRows(skein);
    kept = logRows(rows);
    assistant = await createAssistant(skein);
    scripts = createScripts(skein, model, assistant);
  });
  afterAll(async () => {
    await rows?.close();
    await skein?.close();
    await model?.close();
  });
  beforeEach(() => {
    closing = [];
  });
  afterEach(async () => {
    for (const close of closing.reverse()) await close();
  });

  async function database(): Promise<Database> {
    const { databaseUrl, dataDir } = skein.database;
    const db = await openDatabase({ databaseUrl, dataDir, poolSize: 3, logger: silent });
    closing.push(() => db.close());
    return db;
  }

  async function answered(): Promise<Story> {
    const story = await tell(skein, assistant, 'Which lake is the deepest?');
    const answer = await model.asked();
    await scripts.say(story, answer, ['Lake ', 'Baikal.']);
    answer.end();
    await story.told();
    return story;
  }

  const compact = (db: Database) => compactRuns({ db, afterMs: AFTER_MS }, new AbortController().signal);

  /** Makes a finished run one that has said `deltas` words, all of them in the log. */
  async function prolong(story: Story, deltas: number): Promise<void> {
    const [first] = await rows.query<{ number: number; payload: string }>(
      `select min(number) as number, min(payload) as payload from event where thread_id = $1 and type = 'MessageDelta'`,
      [story.threadId],
    );
    // Twice, so that no two events have one number in between.
    for (const by of [1_000_000, deltas - 1_000_000]) {
      await rows.query('update event set number = number + $3 where thread_id = $1 and number > $2', [
        story.threadId,
        first!.number,
        by,
      ]);
    }
    await rows.query(
      `insert into event (thread_id, number, run_id, type, payload, at)
select $1, $2::int + n, $3, 'MessageDelta', $4, now() from generate_series(1, $5::int) n`,
      [story.threadId, first!.number, story.runId, first!.payload, deltas],
    );
    await rows.query('update run set last_event = last_event + $2 where id = $1', [story.runId, deltas]);
  }

  test('do each run once', async () => {
    const stories: Story[] = [];
    for (let i = 0; i < 12; i++) stories.push(await answered());
    const wholes = await Promise.all(stories.map(({ threadId }) => stored(skein, threadId)));
    const [{ deltas }] = (await rows.query<{ deltas: number }>(
      `select count(*)::int as deltas from event where type = 'MessageDelta'`,
    )) as [{ deltas: number }];
    await kept.age(...stories.map(({ runId }) => runId));
    const [one, other] = [await database(), await database()];
    const done = { runs: 0, deltas: 0 };
    // A thread that the other one has just taken is passed over, and found by the next turn.
    for (let turns = 0; turns < 5; turns++) {
      for (const turn of await Promise.all([compact(one), compact(other)])) {
        done.runs += turn.runs;
        done.deltas += turn.deltas;
      }
    }
    expect(done).toEqual({ runs: stories.length, deltas });
    for (const [i, { threadId, live }] of stories.entries()) {
      expect(await stored(skein, threadId)).toEqual(wholes[i]);
      await live.kill();
    }
  });

  test('pass over a thread that somebody is changing, and do not wait for it', async () => {
    const [story, free] = [await answered(), await answered()];
    await kept.age(story.runId, free.runId);
    const client = besides(skein.database);
    await client.connect();
    closing.push(() => client.end());
    const db = await database();
    await client.query('begin');
    await client.query('select 1 from thread where id = $1 for update', [story.threadId]);
    expect((await compact(db)).runs).toBe(1);
    expect(await kept.logFrom(story.threadId)).toBe(0);
    await client.query('commit');
    expect((await compact(db)).runs).toBe(1);
    expect(await kept.logFrom(story.threadId)).toBeGreaterThan(0);
    for (const { live } of [story, free]) await live.kill();
  });

  test('meet callers who delete the threads', async () => {
    const stories: Story[] = [];
    for (let i = 0; i < 10; i++) stories.push(await answered());
    await kept.age(...stories.map(({ runId }) => runId));
    const [one, other] = [await database(), await database()];
    await Promise.all([
      compact(one),
      compact(other),
      ...stories.map(({ threadId }) => skein.query(DeleteThreadDocument, { input: { threadId } })),
    ]);
    for (const { threadId, live } of stories) {
      expect((await live.ended).at(-1)).toMatchObject({ __typename: 'ThreadDeleted' });
      expect((await kept.log(threadId)).map(({ type }) => type)).toEqual(['ThreadDeleted']);
      expect(await kept.logFrom(threadId)).toBe(0);
    }
  });

  test('leave a log that is what it says when one of them is killed in the middle', { timeout: 60_000 }, async () => {
    const story = await answered();
    const whole = await stored(skein, story.threadId);
    const told = await story.told();
    // Before its log is rewritten: a reader that is still there would read what is put in, or a snapshot in its place.
    await story.live.kill();
    await prolong(story, 2500);
    await kept.age(story.runId);
    const before = await kept.log(story.threadId);
    const client = besides(skein.database);
    await client.connect();
    closing.push(() => client.end());
    // The third step has deleted some when it comes to this row, and waits there.
    await client.query('begin');
    await client.query('select 1 from event where thread_id = $1 and number = 2300 for update', [story.threadId]);
    const environment = { CHORES_EVERY_SECONDS: '1', OPENAI_BASE_URL: model.url };
    const victim = await startServerProcess(skein.database, environment);
    closing.push(() => victim.kill());
    const waits = async () =>
      (
        await rows.query(
          `select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%delete from event%'`,
        )
      ).length;
    await eventually(async () => expect(await waits()).toBe(1));
    await victim.kill();
    await client.query('rollback');
    await eventually(async () => expect(await waits()).toBe(0));

    const from = await kept.logFrom(story.threadId);
    const after = await kept.log(story.threadId);
    expect(after.length).toBe(before.length - 2000);
    expect(after.filter(({ number }) => number > from)).toEqual(before.filter(({ number }) => number > from));
    expect(after.filter(({ number, type }) => number <= from && type.endsWith('Delta'))).toEqual([]);
    const late = watchThread(skein, story.threadId, { after: story.beginning });
    await late.until(({ events }) => events.length === 1);
    expect(visible(late.state)).toEqual(visible(whole));
    await late.kill();

    const next = await startServerProcess(skein.database, environment);
    closing.push(() => next.kill());
    await kept.compacted(story.runId);
    expect((await kept.log(story.threadId)).some(({ type }) => type.endsWith('Delta'))).toBe(false);
    expect(visible(await stored(skein, story.threadId))).toEqual(visible(whole));
    expect(visible(foldAll(told))).toEqual(visible(whole));
  });
});
