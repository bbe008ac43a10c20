import { setImmediate } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { type Database, openDatabase } from '../../src/db/open-database.ts';
import type { Queryable, Sql } from '../../src/db/db.ts';
import type { EventBody, StoredEvent } from '../../src/events/event.ts';
import { createTail, type Follower, type Tail } from '../../src/events/tail.ts';
import { mintId } from '../../src/ids.ts';
import { createLocalWake } from '../../src/work/wake.ts';
import { silent, testDatabase, type TestDatabase } from '../database.ts';

/** Longer than any test: what is told here is told by publications alone, or by `missed`. */
const NO_POLL_MS = 3_600_000;

let database: TestDatabase;
let db: Database;
let projectId: string;
let tail: Tail;
/** Statements that the tail has sent. */
let sent: Sql[] = [];
/** What holds its statements up. */
let gate: Promise<void> = Promise.resolve();

beforeAll(async () => {
  database = await testDatabase();
  const { databaseUrl, dataDir } = database;
  db = await openDatabase({ databaseUrl, dataDir, poolSize: 4, logger: silent });
  projectId = mintId('Project');
  await db.prisma.project.create({ data: { id: projectId, name: 'test', createdAt: new Date() } });
});
afterAll(async () => {
  await db.close();
  await database.dispose();
});
beforeEach(() => {
  sent = [];
  gate = Promise.resolve();
  const watched: Queryable = {
    async query<Row>(sql: Sql) {
      sent.push(sql);
      await gate;
      return db.query<Row>(sql);
    },
  };
  tail = createTail({ db: { ...db, ...watched }, wake: createLocalWake(), pollMs: NO_POLL_MS, logger: silent });
});
afterEach(() => tail.close());

async function createThread(): Promise<string> {
  const id = mintId('Thread');
  const now = new Date();
  await db.prisma.thread.create({
    data: { id, projectId, metadata: {}, toolResources: {}, createdAt: now, updatedAt: now },
  });
  return id;
}

const text = (value: string, offset = 0, messageId = 'msg_a'): EventBody => ({
  type: 'MessageDelta',
  messageId,
  content: [{ type: 'text', index: 0, offset, value, annotations: [] }],
});
/** The text that a delta brings. */
const textOf = ({ body }: StoredEvent): string =>
  body.type === 'MessageDelta' ? body.content.map((part) => ('value' in part ? part.value : '')).join('') : '';
const other = (n: number): EventBody => ({ type: 'MessageDeleted', messageId: `msg_${n}` });

/** Commits events behind `after`, as the log does, without telling anybody. */
async function commit(threadId: string, after: number, bodies: EventBody[]): Promise<StoredEvent[]> {
  const at = new Date();
  const events = bodies.map((body, i): StoredEvent => ({ threadId, number: after + 1 + i, runId: null, at, body }));
  await db.query({
    name: 'test-append',
    text: `insert into event (thread_id, number, run_id, type, payload, at)
select $1, n, null, t, p, $5::timestamptz from unnest($2::int[], $3::text[], $4::text[]) e(n, t, p)`,
    values: [
      threadId,
      events.map(({ number }) => number),
      events.map(({ body }) => body.type),
      events.map(({ body }) => JSON.stringify(body)),
      at,
    ],
  });
  return events;
}

const others = (count: number, from = 1): EventBody[] => Array.from({ length: count }, (_, i) => other(from + i));

async function compact(threadId: string, numbers: number[]): Promise<void> {
  await db.tx(async (tx) => {
    tx.write({
      name: 'test-compact',
      text: 'delete from event where thread_id = $1 and number = any($2)',
      values: [threadId, numbers],
    });
    tx.write({
      name: 'test-log-from',
      text: 'update thread set log_from = $2 where id = $1',
      values: [threadId, Math.max(...numbers)],
    });
  });
}

const numbers = (events: StoredEvent[] | 'gap' | null) => (events as StoredEvent[]).map(({ number }) => number);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, i) => from + i);

/** Numbers from a follower, up to and with `last`. */
async function collect(follower: Follower, last: number): Promise<number[]> {
  const all: number[] = [];
  while (all.at(-1) !== last) all.push(...numbers(await follower.next()));
  return all;
}

describe('reads of the log', () => {
  test('of followers that are behind share one statement, and those of one thread its rows', async () => {
    const threads = await Promise.all(Array.from({ length: 10 }, createThread));
    for (const thread of threads) await commit(thread, 0, others(3));
    const followers = threads.flatMap((thread) => Array.from({ length: 5 }, () => tail.follow(thread, 0)));
    const all = await Promise.all(followers.map((follower) => follower.next()));
    for (const events of all) expect(numbers(events)).toEqual([1, 2, 3]);
    console.log(`50 followers of 10 threads: ${sent.length} statement(s)`);
    expect(sent.map(({ values }) => (values[0] as string[]).length)).toEqual([10]);
    // The rows were made into events once.
    expect((all[0] as StoredEvent[])[0]).toBe((all[1] as StoredEvent[])[0]);
  });

  test('are one at a time: what comes meanwhile shares the next', async () => {
    const threads = await Promise.all(Array.from({ length: 20 }, createThread));
    for (const thread of threads) await commit(thread, 0, others(1));
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const first = tail.follow(threads[0]!, 0).next();
    await eventually(() => expect(sent).toHaveLength(1));
    const rest = threads.slice(1).map((thread) => tail.follow(thread, 0).next());
    await setImmediate();
    expect(sent).toHaveLength(1);
    open.resolve();
    for (const events of await Promise.all([first, ...rest])) expect(numbers(events)).toEqual([1]);
    expect(sent).toHaveLength(2);
  });

  test('bring followers of one thread further wherever they stand, page by page', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(2000));
    const places = [0, 0, 3, 10, 15, 16, 17, 600, 1990, 1999];
    const followers = places.map((after) => tail.follow(thread, after));
    const all = await Promise.all(followers.map((follower) => collect(follower, 2000)));
    for (const [i, place] of places.entries()) expect(all[i]).toEqual(upTo(2000, place + 1));
    expect(sent.length).toBeLessThan(10);
  });

  test('of very many threads are split, and all are served', async () => {
    const threads = await Promise.all(Array.from({ length: 300 }, createThread));
    const thread = threads[299]!;
    await commit(thread, 0, others(40));
    const followers = threads.map((one) => tail.follow(one, 0));
    const waiting = followers.slice(0, 299).map((follower) => follower.next());
    expect(await collect(followers[299]!, 40)).toEqual(upTo(40));
    expect(Math.max(...sent.map(({ values }) => (values[0] as string[]).length))).toBeLessThanOrEqual(256);
    for (const follower of followers) follower.close();
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => null));
  });

  test('that fail tell those who asked, who may ask again', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(2));
    gate = Promise.reject(new Error('the database is away'));
    gate.catch(() => {});
    const [a, b] = [tail.follow(thread, 0), tail.follow(thread, 1)];
    const failed = await Promise.allSettled([a.next(), b.next()]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    gate = Promise.resolve();
    expect(numbers(await a.next())).toEqual([1, 2]);
    expect(numbers(await b.next())).toEqual([2]);
  });

  test('are not made while publications go on from where a follower stands', async () => {
    const thread = await createThread();
    const followers = Array.from({ length: 50 }, () => tail.follow(thread, 0));
    const all = Promise.all(followers.map((follower) => follower.next()));
    await eventually(() => expect(tail.caughtUp).toBe(true));
    sent = [];
    tail.publish(thread, await commit(thread, 0, others(2)));
    for (const events of await all) expect(numbers(events)).toEqual([1, 2]);
    expect(sent).toEqual([]);
    const next = Promise.all(followers.map((follower) => follower.next()));
    await commit(thread, 2, others(3));
    tail.publish(thread, await commit(thread, 5, others(1))); // three of them were never heard of
    for (const events of await next) expect(numbers(events)).toEqual([3, 4, 5, 6]);
    expect(sent).toHaveLength(1);
  });

  test('and publications in between make neither gaps nor repetitions', async () => {
    const thread = await createThread();
    const count = 400;
    const followers = Array.from({ length: 20 }, (_, i) => tail.follow(thread, i % 3 ? 0 : Math.min(i, 10)));
    const all = followers.map((follower) => collect(follower, count));
    for (let done = 0; done < count;) {
      const more = Math.min(1 + (done % 7), count - done);
      const events = await commit(thread, done, others(more));
      done += more;
      // Some are not heard of, and some twice.
      if (done % 5 || done === count) tail.publish(thread, events);
      if (done % 4 === 0) tail.publish(thread, events);
    }
    for (const [i, got] of (await Promise.all(all)).entries())
      expect(got).toEqual(upTo(count, 1 + (i % 3 ? 0 : Math.min(i, 10))));
  });
});

describe('a log that no longer reaches back', () => {
  test('answers with a gap, once, and goes on from where its reader seeks to', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(10));
    await compact(thread, [3, 4, 7]);
    const follower = tail.follow(thread, 5);
    expect(await follower.next()).toBe('gap');
    follower.seek(8);
    expect(numbers(await follower.next())).toEqual([9, 10]);
    tail.publish(thread, await commit(thread, 10, others(1)));
    expect(numbers(await follower.next())).toEqual([11]);
    follower.seek(2);
    expect(await follower.next()).toBe('gap');
  });

  test('tells who does not move what is left, and of what goes afterwards', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(6));
    await compact(thread, [2, 3]);
    const follower = tail.follow(thread, 0);
    expect(await follower.next()).toBe('gap');
    expect(numbers(await follower.next())).toEqual([1, 4, 5, 6]);
    const next = follower.next();
    await eventually(() => expect(tail.caughtUp).toBe(true));
    const [seven, eight, nine] = await commit(thread, 6, others(3));
    await compact(thread, [8]);
    tail.publish(thread, [nine!]);
    expect([seven!.number, eight!.number]).toEqual([7, 8]);
    expect(await next).toBe('gap');
    expect(numbers(await follower.next())).toEqual([7, 9]);
  });

  test('is complete for who stands behind all that is gone, exactly', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(6));
    await compact(thread, [2, 5]);
    const [before, at] = [tail.follow(thread, 4), tail.follow(thread, 5)];
    expect(await before.next()).toBe('gap');
    expect(numbers(await at.next())).toEqual([6]);
  });

  test('is complete for who was told of everything as it happened', async () => {
    const thread = await createThread();
    const follower = tail.follow(thread, 0);
    const next = follower.next();
    await eventually(() => expect(tail.caughtUp).toBe(true));
    tail.publish(thread, await commit(thread, 0, others(4)));
    await compact(thread, [1, 2]);
    expect(numbers(await next)).toEqual([1, 2, 3, 4]);
  });

  test('tells of the gap who fell behind while it came', async () => {
    const thread = await createThread();
    const follower = tail.follow(thread, 0);
    const first = follower.next();
    await eventually(() => expect(tail.caughtUp).toBe(true));
    tail.publish(thread, await commit(thread, 0, others(1)));
    await first;
    // More than a follower keeps.
    for (let after = 1; after < 1201; after += 100) tail.publish(thread, await commit(thread, after, others(100)));
    await compact(thread, upTo(900, 700));
    const seen: (number | 'gap')[] = [];
    for (;;) {
      const events = await follower.next();
      if (events === 'gap') {
        seen.push('gap');
        break;
      }
      seen.push(...numbers(events));
    }
    expect(seen.slice(0, -1)).toEqual(upTo(seen.length, 2)); // whole as far as it went
    follower.seek(1200);
    expect(numbers(await follower.next())).toEqual([1201]);
  });

  test('is read together with what is gone of it: no page has a hole that nobody tells of', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(300));
    let done = false;
    const compacting = (async () => {
      for (let n = 1; n < 300; n += 3) await compact(thread, [n]);
      done = true;
    })();
    let rounds = 0;
    while (!done) {
      const follower = tail.follow(thread, 100);
      const events = await follower.next();
      if (events !== 'gap') expect(numbers(events)).toEqual(upTo(300, 101));
      follower.close();
      rounds += 1;
    }
    await compacting;
    expect(rounds).toBeGreaterThan(3);
  });
});

describe('events that waited', () => {
  test('come as few deltas, each with the place of its last', async () => {
    const thread = await createThread();
    const bodies = [
      other(1),
      text('a', 0),
      text('b', 1),
      text('c', 2),
      text('x', 0, 'msg_b'),
      text('y', 1, 'msg_b'),
      other(2),
      text('d', 3),
    ];
    const published = await commit(thread, 0, bodies);
    const kept = structuredClone(published);
    const [slow, late] = [tail.follow(thread, 0), tail.follow(thread, 0)];
    const nothing = slow.next();
    const expected = [
      { number: 1, body: other(1) },
      { number: 4, body: text('abc', 0) },
      { number: 6, body: text('xy', 0, 'msg_b') },
      { number: 7, body: other(2) },
      { number: 8, body: text('d', 3) },
    ];
    expect(await nothing).toMatchObject(expected);
    expect(await late.next()).toMatchObject(expected);
    expect(published).toEqual(kept);
  });

  test('are shared by followers, and none sees another merge', async () => {
    const thread = await createThread();
    const [slow, quick] = [tail.follow(thread, 0), tail.follow(thread, 0)];
    const firsts = [slow.next(), quick.next()];
    await eventually(() => expect(tail.caughtUp).toBe(true));
    const published: StoredEvent[] = [];
    const seen: string[] = [];
    let offset = 0;
    for (let i = 0; i < 20; i++) {
      const events = await commit(thread, i, [text(`${i},`, offset)]);
      offset += `${i},`.length;
      published.push(...events);
      tail.publish(thread, events);
      const got = (await (i === 0 ? firsts[1]! : quick.next())) as StoredEvent[];
      expect(got).toHaveLength(1);
      seen.push(...got.map(textOf));
    }
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => `${i},`));
    expect(await firsts[0]).toMatchObject([{ number: 1, body: text('0,') }]);
    const [rest, ...more] = (await slow.next()) as StoredEvent[];
    expect(more).toEqual([]);
    expect(rest).toMatchObject({ number: 20, body: text(seen.slice(1).join(''), 2) });
    expect(published.map(({ body }) => body)).toEqual(
      published.map((_, i) => text(`${i},`, seen.slice(0, i).join('').length)),
    );
  });

  test('are not merged without bound', async () => {
    const thread = await createThread();
    const piece = 'x'.repeat(10_000);
    await commit(
      thread,
      0,
      Array.from({ length: 30 }, (_, i) => text(piece, i * piece.length)),
    );
    const follower = tail.follow(thread, 0);
    const events = (await follower.next()) as StoredEvent[];
    const lengths = events.map((event) => textOf(event).length);
    expect(lengths.reduce((a, b) => a + b)).toBe(300_000);
    expect(lengths).toEqual([60_000, 60_000, 60_000, 60_000, 60_000]);
  });

  test('of function calls are merged as well', async () => {
    const thread = await createThread();
    const call = (index: number, name: string | null, args: string, offset: number): EventBody => ({
      type: 'RunStepDelta',
      stepId: 'step_a',
      toolCalls: [{ type: 'function', index, id: `call_${index}`, name, offset, arguments: args }],
    });
    await commit(thread, 0, [call(0, 'f', '{"a"', 0), call(0, null, ':1}', 4), call(1, 'g', '{', 0)]);
    expect(await tail.follow(thread, 0).next()).toMatchObject([
      {
        number: 3,
        body: {
          toolCalls: [
            { index: 0, name: 'f', arguments: '{"a":1}' },
            { index: 1, name: 'g', arguments: '{' },
          ],
        },
      },
    ]);
  });
});

describe('a follower', () => {
  test('that is closed answers null, also while it is being read for', async () => {
    const thread = await createThread();
    await commit(thread, 0, others(1));
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const [reading, waiting] = [tail.follow(thread, 0), tail.follow(thread, 1)];
    const [first, second] = [reading.next(), waiting.next()];
    await eventually(() => expect(sent).toHaveLength(1));
    reading.close();
    open.resolve();
    expect(await first).toBeNull();
    await eventually(() => expect(tail.caughtUp).toBe(true));
    expect(tail.followers).toBe(1);
    tail.close();
    expect(await second).toBeNull();
    expect(tail.followers).toBe(0);
  });
});
