import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import type { LimitOptions } from '../../src/sandbox/limits.ts';
import type { Driver, Sandbox, Session } from '../../src/sandbox/sandbox.ts';
import { allGone, bubblewrapHere, newSince, openSandbox, processesOf, run } from './boxes.ts';
import { waitFor } from '../server/wait-for.ts';

const driver: Driver = (await bubblewrapHere()) === null ? 'bubblewrap' : 'pyodide';
const opened: Sandbox[] = [];

afterEach(async () => {
  const before = processesOf();
  await Promise.all(opened.splice(0).map((sandbox) => sandbox.close()));
  await allGone(before.filter(({ pid }) => isPaused(pid) !== null));
  expect(newSince(before)).toEqual([]);
});

async function start(sessions: LimitOptions['sessions']): Promise<Sandbox> {
  const sandbox = await openSandbox(driver, { sessions });
  opened.push(sandbox);
  return sandbox;
}

/** Null for what has ended. */
function isPaused(pid: number): boolean | null {
  try {
    return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return null;
  }
}

const open = (sandbox: Sandbox, key: string, project = 'p'): Promise<Session> => sandbox.open({ key, project });

it('gives everybody with the same key and project the same session', async () => {
  const sandbox = await start({});
  const files = [{ name: 'in.txt', content: [Buffer.from('input')] }];
  const [first, second] = await Promise.all([
    sandbox.open({ key: 'a', project: 'p', files }),
    sandbox.open({ key: 'a', project: 'p', files: [] }),
  ]);
  expect([first.fresh, second.fresh]).toEqual([true, false]);
  await run(first, 'x = open("/mnt/data/in.txt").read()');
  expect(await run(second, 'x')).toBe("'input'\n");
  const stranger = await open(sandbox, 'a', 'q');
  expect(stranger.fresh).toBe(true);
  expect((await stranger.execute('x')).error!.name).toBe('NameError');
  first.release();
  first.release();
  await expect(first.execute('1')).rejects.toThrow(/released/);
  expect(await run(second, 'x')).toBe("'input'\n");
});

it('says how the last session of a key ended to the one that comes after it, once', async () => {
  const sandbox = await start({});
  const first = await open(sandbox, 'a');
  expect(first.previous).toBeNull();
  const result = await first.execute('import os\nos._exit(1)');
  expect(result.lost).toBe('crashed');
  first.release();
  const second = await open(sandbox, 'a');
  expect([second.fresh, second.previous]).toEqual([true, 'crashed']);
  await second.close();
  const third = await open(sandbox, 'a');
  expect([third.fresh, third.previous]).toEqual([true, 'closed']);
  third.release();
  expect((await open(sandbox, 'a')).previous).toBeNull();
});

it('freezes what nobody uses', async () => {
  const sandbox = await start({});
  const before = processesOf();
  const session = await open(sandbox, 'a');
  await run(session, 'import threading\ndef burn():\n    while True: pass');
  const runners = (): number[] =>
    newSince(before)
      .map(({ pid }) => pid)
      .filter((pid) => isPaused(pid) === true);
  await waitFor('the runner to be frozen', () => runners().length > 0);
  const seen: boolean[] = [];
  await session.execute("import time\nprint('on', flush=True)\ntime.sleep(0.1)", {
    onEvent: () => void seen.push(runners().length === 0),
  });
  expect(seen).toEqual([true]);
  await waitFor('the runner to be frozen again', () => runners().length > 0);
});

it('ends a session that is idle or old, and not while somebody holds it', async () => {
  const sandbox = await start({ idleMs: 150, lifeMs: 60_000 });
  const session = await open(sandbox, 'a');
  expect(await run(session, 'import time\ntime.sleep(0.4)\n7')).toBe('7\n');
  expect(session.lost).toBeNull();
  session.release();
  await waitFor('the idle session to end', () => session.lost);
  expect(session.lost).toBe('idle');
  expect((await open(sandbox, 'a')).previous).toBe('idle');

  const other = await start({ idleMs: 60_000, lifeMs: 150 });
  const old = await open(other, 'a');
  expect(await run(old, 'import time\ntime.sleep(0.4)\n7')).toBe('7\n');
  old.release();
  await waitFor('the old session to end', () => old.lost);
  expect((await open(other, 'a')).previous).toBe('expired');
});

it('makes room by ending what was used longest ago, of the project that has too many', async () => {
  const sandbox = await start({ total: 3, perProject: 2 });
  const one = await open(sandbox, 'one');
  const two = await open(sandbox, 'two');
  one.release();
  two.release();
  const again = await open(sandbox, 'one');
  expect(again.fresh).toBe(false);
  again.release();
  const other = await open(sandbox, 'other', 'q');
  other.release();
  const three = await open(sandbox, 'three');
  await waitFor('the end', () => two.lost);
  expect([two.lost, one.lost, other.lost]).toEqual(['evicted', null, null]);
  three.release();
  const last = await open(sandbox, 'last', 'r');
  await waitFor('the end', () => one.lost);
  expect([one.lost, other.lost, three.lost]).toEqual(['evicted', null, null]);
  last.release();
});

it('waits for room that others hold, and says when there is none', async () => {
  const sandbox = await start({ total: 2, perProject: 1, waitMs: 300 });
  const one = await open(sandbox, 'one');
  await expect(open(sandbox, 'two')).rejects.toMatchObject({ name: 'SandboxFullError' });
  const stranger = await open(sandbox, 'x', 'q');
  const controller = new AbortController();
  const aborted = sandbox.open({ key: 'two', project: 'p', signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  await expect(aborted).rejects.toThrow('no longer wanted');
  const waiting = open(sandbox, 'two');
  one.release();
  const two = await waiting;
  expect(await run(two, '1')).toBe('1\n');
  expect(stranger.lost).toBeNull();
});

it('keeps no place for a session that could not be opened', async () => {
  const sandbox = await start({ total: 1, perProject: 1, waitMs: 300 });
  const files = [{ name: '../bad', content: [] }];
  await expect(sandbox.open({ key: 'a', project: 'p', files })).rejects.toThrow(/name of the file/);
  const session = await open(sandbox, 'a');
  expect([session.fresh, session.previous]).toEqual([true, null]);
});

it('has a box ready before it is asked for one', async () => {
  const sandbox = await start({ warm: 1 });
  const before = await waitFor('a frozen box', () => {
    const all = processesOf();
    return all.some(({ pid }) => isPaused(pid) === true) ? all : null;
  });
  const began = performance.now();
  const session = await open(sandbox, 'a');
  console.log(`${driver}: from the pool in ${Math.round(performance.now() - began)} ms`);
  expect(await run(session, '1')).toBe('1\n');
  const next = await waitFor('the next one', () => newSince(before).some(({ pid }) => isPaused(pid) === true));
  expect(next).toBe(true);
});

it('ends everything at once when it is closed, what runs and what is only starting too', async () => {
  const before = processesOf();
  const sandbox = await openSandbox(driver, { sessions: { warm: 2 } });
  const session = await open(sandbox, 'a');
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const running = session.execute("print('on', flush=True)\nwhile True: pass", { onEvent: () => begin() });
  await begun;
  const starting = open(sandbox, 'b').catch((error: unknown) => error);
  await sandbox.close();
  expect(newSince(before)).toEqual([]);
  expect(await running).toMatchObject({ status: 'cancelled', lost: 'closed' });
  expect(await starting).toBeInstanceOf(Error);
  await expect(open(sandbox, 'c')).rejects.toThrow(/lost: closed/);
});
