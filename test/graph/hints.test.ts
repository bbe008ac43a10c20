import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createHints, type FollowOptions, type Hints, type HintsOptions, type Move } from '../../src/graphql/hints.ts';

/** The same as in src/graphql/hints.ts. */
const WINDOW_MS = 100;
const MOST_WAITING = 1000;

type Row = { id: string; value: number };
type Options = FollowOptions<Row, string | null, Row>;

let rows: Map<string, Row>;
/** Readings so far. */
let readings: { scope: string; ids: readonly string[]; filters: readonly (string | null)[] }[];
/** Held until a test opens it. */
let gate: Promise<void>;
let heard: ((move: Move) => void) | null;
let missed: () => void;
let lookAgain: readonly string[] | null;
let hints: Hints<Row, string | null>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance', 'Date'] });
  rows = new Map();
  readings = [];
  gate = Promise.resolve();
  heard = null;
  lookAgain = null;
  hints = createHints<Row, string | null>(options);
});
afterEach(() => {
  vi.useRealTimers();
});

const options: HintsOptions<Row, string | null> = {
  listen(onMove, onMissed) {
    heard = onMove;
    missed = onMissed;
    return () => (heard = null);
  },
  async read(scope, ids, filters) {
    readings.push({ scope, ids, filters });
    const now = new Map(ids.flatMap((id) => (rows.has(id) ? [[id, rows.get(id)!] as const] : [])));
    await gate;
    const fits = (id: string) => filters.flatMap((filter, i) => (filter === null || id.includes(filter) ? [i] : []));
    return new Map([...now].map(([id, row]) => [id, { row, fits: fits(id) }]));
  },
  afterMissed: () => lookAgain,
};

const createLooking = () => createHints({ ...options, lookEveryMs: 2000 });

const follow = (more: Partial<Options> = {}, scope = 'scope') =>
  hints.follow<Row>(scope, { filter: null, ids: null, tell: ({ row }) => row, ...more });

/** Changes something, and says so. */
function move(id: string, value: number, scope = 'scope'): void {
  rows.set(id, { id, value });
  heard?.({ scope, id, changed: false });
}

const value = async (next: Promise<IteratorResult<Row, undefined>>) => (await next).value;
const pass = async (ms = WINDOW_MS) => {
  await setImmediate();
  await vi.advanceTimersByTimeAsync(ms);
};

describe('hints', () => {
  test('are read once for all who follow, with every filter once', async () => {
    const followers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => follow({ filter: i % 3 ? `f${i % 3}` : null })),
    );
    move('f1', 1);
    await pass();
    expect(readings).toEqual([{ scope: 'scope', ids: ['f1'], filters: [null, 'f1', 'f2'] }]);
    const nexts = followers.map((follower) => follower.next());
    expect(await Promise.all(nexts.filter((_, i) => i % 3 !== 2).map(value))).toEqual(
      Array.from({ length: 40 }, () => ({ id: 'f1', value: 1 })),
    );
    expect(hints.followers).toBe(60);
    await Promise.all(followers.map((follower) => follower.return()));
    expect((await Promise.all(nexts)).filter(({ done }) => done)).toHaveLength(20);
  });

  test('come at once after a quiet time, and then ten times a second', async () => {
    const follower = await follow();
    move('a', 1);
    expect(await value(follower.next())).toEqual({ id: 'a', value: 1 });
    let came = 0;
    const count = async () => {
      for await (const _ of follower) came += 1;
    };
    const counting = count();
    for (let ms = 0; ms < 1000; ms += 10) {
      move('a', ms);
      await pass(10);
    }
    expect(came).toBeGreaterThanOrEqual(9);
    expect(came).toBeLessThanOrEqual(10);
    await follower.return();
    await counting;
  });

  test('that wait for a slow reader are of the newest state, one for each thing', async () => {
    const follower = await follow();
    for (let i = 1; i <= 20; i++) {
      move('a', i);
      move('b', -i);
      await pass();
    }
    expect(await value(follower.next())).toEqual({ id: 'a', value: 20 });
    expect(await value(follower.next())).toEqual({ id: 'b', value: -20 });
    move('a', 21);
    await pass();
    expect(await value(follower.next())).toEqual({ id: 'a', value: 21 });
    await follower.return();
  });

  test('that wait are bounded: a reader that is too slow is sent away, and no other', async () => {
    const [slow, quick] = [await follow(), await follow()];
    const seen = new Set<string>();
    const reading = (async () => {
      for await (const { id } of quick) seen.add(id);
    })();
    for (let i = 0; i <= MOST_WAITING; i++) {
      move(`a${i}`, i);
      if (i % 100 === 99) await pass();
    }
    await pass();
    await expect(slow.next()).rejects.toMatchObject({ extensions: { code: 'HINTS_LOST' } });
    expect((await slow.next()).done).toBe(true);
    expect(seen.size).toBe(MOST_WAITING + 1);
    expect(hints.followers).toBe(1);
    await quick.return();
    await reading;
  });

  test('are lost when more moves than can be read', async () => {
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    const follower = await follow();
    for (let i = 0; i <= MOST_WAITING + 1; i++) move(`a${i}`, i);
    await expect(follower.next()).rejects.toMatchObject({ extensions: { code: 'HINTS_LOST' } });
    open.resolve();
  });

  test('that may have been missed are looked at again, or else followers are sent away', async () => {
    rows.set('a', { id: 'a', value: 1 });
    const follower = await follow();
    lookAgain = ['a'];
    missed();
    expect(await value(follower.next())).toEqual({ id: 'a', value: 1 });
    lookAgain = null;
    missed();
    await expect(follower.next()).rejects.toMatchObject({ extensions: { code: 'HINTS_LOST' } });
  });

  test('of some things alone cost nothing when others move', async () => {
    const follower = await follow({ ids: ['a', 'b'] });
    move('c', 1);
    await pass();
    expect(readings).toEqual([]);
    move('b', 2);
    expect(await value(follower.next())).toEqual({ id: 'b', value: 2 });
    move('b', 3, 'another scope');
    await pass();
    expect(readings).toHaveLength(1);
    await follower.return();
  });

  test('begin with what is read once nothing is missed, unless something newer has come', async () => {
    const open = Promise.withResolvers<void>();
    const begins = follow({
      async begin() {
        await open.promise;
        return { id: 'a', event: { id: 'a', value: 1 } };
      },
    });
    move('a', 2);
    await pass();
    open.resolve();
    const follower = await begins;
    expect(await value(follower.next())).toEqual({ id: 'a', value: 2 });
    await follower.return();
    await expect(follow({ begin: () => Promise.reject(new Error('not there')) })).rejects.toThrow('not there');
    expect(hints.followers).toBe(0);
  });

  test('end where there is nothing more to say, behind what there was', async () => {
    const follower = await follow({ tell: ({ row }) => row ?? 'end' });
    move('a', 1);
    await pass();
    rows.delete('a');
    heard!({ scope: 'scope', id: 'a', changed: true });
    await pass();
    expect(await value(follower.next())).toEqual({ id: 'a', value: 1 });
    expect((await follower.next()).done).toBe(true);
    expect(hints.followers).toBe(0);
  });

  test('of a reading that was under way when somebody came are not for them', async () => {
    const first = await follow();
    const open = Promise.withResolvers<void>();
    gate = open.promise;
    move('a', 1);
    await setImmediate();
    const second = await follow();
    open.resolve();
    expect(await value(first.next())).toEqual({ id: 'a', value: 1 });
    move('a', 2);
    await pass();
    expect(await value(second.next())).toEqual({ id: 'a', value: 2 });
    await Promise.all([first.return(), second.return()]);
  });

  test('that cannot be read break the subscriptions off', async () => {
    gate = Promise.reject(new Error('the database is gone'));
    gate.catch(() => {});
    const follower = await follow();
    move('a', 1);
    await expect(follower.next()).rejects.toThrow('the database is gone');
  });

  test('are looked at by themselves where nobody may tell of them, and told of when they are not as they were', async () => {
    lookAgain = ['a'];
    const looking = createLooking();
    const follower = await looking.follow<Row>('scope', { filter: null, ids: null, tell: ({ row }) => row });
    rows.set('a', { id: 'a', value: 1 });
    await pass(2000);
    expect(await value(follower.next())).toEqual({ id: 'a', value: 1 });
    const next = follower.next();
    await pass(6000);
    expect(readings).toHaveLength(4);
    rows.set('a', { id: 'a', value: 2 });
    await pass(2000);
    // What came in between was the same, and nothing was said of it.
    expect(await value(next)).toEqual({ id: 'a', value: 2 });
    await follower.return();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('leave no listener and no timer behind', async () => {
    const followers = await Promise.all([follow(), follow({ ids: ['a'] }), follow({}, 'another')]);
    move('a', 1);
    await pass(0);
    move('a', 2);
    expect(vi.getTimerCount()).toBe(1);
    const waiting = followers[2]!.next();
    for (const follower of followers) await follower.return();
    expect((await waiting).done).toBe(true);
    expect([vi.getTimerCount(), hints.followers, heard]).toEqual([0, 0, null]);
  });
});
