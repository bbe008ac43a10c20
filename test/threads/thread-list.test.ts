import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  CreateThreadDocument,
  type CreateThreadInput,
  DeleteMessageDocument,
  DeleteThreadDocument,
  ThreadsDocument,
  UpdateThreadDocument,
  type UpdateThreadInput,
} from '../../src/generated/graphql/graphql.ts';
import { calls, live, openStage, says, type Stage, WEATHER } from '../engine/stage.ts';
import { watchRun } from '../events/watch.ts';
import { openRows } from '../graph/rows.ts';
import { delta, finish } from '../llm/model-server.ts';
import { waitFor } from '../server/wait-for.ts';
import { type Hint, type ThreadsWatch, watchThreads } from './watch-threads.ts';

let stage: Stage;
const open = new Set<ThreadsWatch>();
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
afterEach(async () => {
  stage.scenes.length = 0;
  for (const watch of open) await watch.leave();
  open.clear();
  await waitFor('everybody to leave', () => stage.app.skein.counts().followers === 0);
});

async function watch(...args: Parameters<typeof watchThreads> extends [unknown, ...infer Rest] ? Rest : never) {
  const watching = await watchThreads(stage.app, ...args);
  open.add(watching);
  return watching;
}

async function create(input: CreateThreadInput = {}): Promise<string> {
  const { createThread } = await stage.app.query(CreateThreadDocument, { input });
  return createThread.thread!.id;
}
async function update(input: UpdateThreadInput): Promise<void> {
  const { updateThread } = await stage.app.query(UpdateThreadDocument, { input });
  expect(updateThread.userErrors).toEqual([]);
}
const remove = (threadId: string) => stage.app.query(DeleteThreadDocument, { input: { threadId } });

const titled = (title: string) => (hint: Hint) => hint.thread?.title === title;
const isIn =
  (threadId: string, status: string | null) =>
  (hint: Hint): boolean =>
    hint.threadId === threadId && hint.thread !== null && (hint.thread.activeRun?.status ?? null) === status;

describe('a list of threads that is followed', () => {
  test('tells of a thread that is made, changed and deleted, as it is then', async () => {
    const list = await watch();
    const threadId = await create({ title: 'First' });
    const made = await list.until('the new thread', titled('First'));
    expect(made.threadId).toBe(threadId);
    await update({ threadId, title: 'Second' });
    const changed = await list.until('the new title', titled('Second'));
    const { threads } = await stage.app.query(ThreadsDocument, { first: 1 });
    expect(changed.thread).toEqual(threads.nodes[0]);
    await remove(threadId);
    const gone = await list.until('the end of it', ({ thread }) => thread === null);
    expect(gone.threadId).toBe(threadId);
    expect(new Date(gone.at).getTime()).toBeGreaterThanOrEqual(new Date(made.at).getTime());
  });

  test('tells of every status of a run, of messages, and of the thread being free again', async () => {
    const list = await watch();
    const assistantId = await stage.createAssistant({ tools: [WEATHER] });
    const answer = live();
    stage.scenes.push(calls([{ arguments: '{}' }]), answer.scene);
    const { runId, threadId } = await stage.start({ assistantId });
    await list.until('the run to wait for its caller', isIn(threadId, 'REQUIRES_ACTION'));
    const { requiredAction } = await stage.details(runId);
    await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'rain' });
    const stream = await answer.asked;
    await list.until('the run to go on', isIn(threadId, 'IN_PROGRESS'), list.hints.length);
    let seen = list.hints.length;
    stream.send(delta({ content: 'It' }));
    await list.until('its message', isIn(threadId, 'IN_PROGRESS'), seen);
    stream.send(finish('stop'));
    stream.end();
    await list.until('its end', isIn(threadId, null), seen);

    seen = list.hints.length;
    const { message } = await stage.say(threadId, 'Thanks');
    await list.until('a message of the caller', isIn(threadId, null), seen);
    seen = list.hints.length;
    await stage.app.query(DeleteMessageDocument, { input: { messageId: message!.id } });
    await list.until('a message being deleted', isIn(threadId, null), seen);
  });

  test('tells that a run was asked to stop, whether or not its worker ever hears of it', async () => {
    const list = await watch();
    const deaf = live(false);
    stage.scenes.push(deaf.scene);
    const { runId, threadId } = await stage.start();
    await deaf.asked;
    const rows = await openRows(stage.app);
    const lease = `update run set owner = 'nobody', lease_until = now() + interval '1 hour' where id = $1`;
    await rows.query(lease, [runId]);
    await rows.close();
    await stage.cancel(runId);
    await list.until('it to be asked to stop', isIn(threadId, 'CANCELLING'));
  });

  test('tells of runs that stand in line, and leave it', async () => {
    const list = await watch();
    const threadId = await stage.createThread('Hello');
    const [first, second] = [live(), says('ok')];
    stage.scenes.push(first.scene, second);
    const busy = await stage.start({ threadId });
    await first.asked;
    await list.until('the run to begin', isIn(threadId, 'IN_PROGRESS'));
    const seen = list.hints.length;
    const waiting = await stage.start({ threadId, ifBusy: 'ENQUEUE' });
    await list.until('the run in line', isIn(threadId, 'IN_PROGRESS'), seen);
    await stage.cancel(busy.runId);
    await stage.follow(waiting.runId);
    await list.until('the line to be empty', isIn(threadId, null), seen);
  });

  test('says nothing while a run streams', async () => {
    const list = await watch();
    const script = live();
    stage.scenes.push(script.scene);
    const { runId, threadId, cursor } = await stage.start();
    const run = watchRun(stage.app, runId, { after: cursor });
    const stream = await script.asked;
    const began = performance.now();
    let text = '';
    // As long as ten hints would have had the time to come.
    for (let i = 0; performance.now() - began < 1200; i++) {
      text += `word${i} `;
      stream.send(delta({ content: `word${i} ` }));
      await run.until(({ state }) => state.messages.at(-1)?.text === text);
    }
    stream.send(finish('stop'));
    stream.end();
    await run.ended;
    await list.until('the end of the run', isIn(threadId, null));
    const deltas = run.events.filter(({ __typename }) => __typename === 'MessageDelta').length;
    console.log(`a run of ${deltas} deltas: ${list.hints.length} hints`);
    expect(deltas).toBeGreaterThan(30);
    // QUEUED and IN_PROGRESS, the message begun, the end: what falls together is one.
    expect(list.hints.length).toBeLessThanOrEqual(4);
  });

  test('tells of a thread that moves a lot ten times a second, and of its newest state in the end', async () => {
    const threadId = await create({ title: 'busy' });
    const list = await watch();
    const began = performance.now();
    for (let i = 0; i < 300; i++) await update({ threadId, title: `title ${i}` });
    await list.until('the last title', titled('title 299'));
    const seconds = (performance.now() - began) / 1000;
    console.log(`300 changes in ${seconds.toFixed(2)} s: ${list.hints.length} hints`);
    expect(list.hints.length).toBeLessThanOrEqual(seconds * 10 + 2);
  });

  test('tells of each of many threads that move together', async () => {
    const list = await watch();
    const ids = await Promise.all(Array.from({ length: 150 }, (_, i) => create({ title: `one of many ${i}` })));
    await waitFor('all of them', () => new Set(list.hints.map(({ threadId }) => threadId)).size >= ids.length);
    expect(new Set(list.hints.map(({ threadId }) => threadId))).toEqual(new Set(ids));
  });
});

describe('a filter', () => {
  const NEEDLE = { metadata: { user: 'ada' } };

  test('lets through what fits, and tells of what may have left the list', async () => {
    const [ada, bob] = [await create(NEEDLE), await create({ metadata: { user: 'bob' } })];
    const list = await watch(NEEDLE);
    const other = await create({ metadata: { user: 'bob' }, title: 'not hers' });
    await stage.perform({ threadId: bob });
    const mine = await create({ ...NEEDLE, title: 'hers' });
    await list.until('a thread of hers', titled('hers'));
    await stage.perform({ threadId: ada });
    await list.until('a run in one of hers', isIn(ada, null));
    expect(new Set(list.hints.map(({ threadId }) => threadId))).toEqual(new Set([mine, ada]));

    await update({ threadId: ada, metadata: { user: 'bob' } });
    await list.until('one that is hers no longer', ({ threadId, thread }) => threadId === ada && !thread);
    await update({ threadId: other, metadata: { user: 'ada', more: 'x' } });
    await list.until('one that is hers now', ({ threadId, thread }) => threadId === other && !!thread);
    await remove(mine);
    await list.until('one that is deleted', ({ threadId, thread }) => threadId === mine && !thread);
  });

  test('by words is the same as that of the list', async () => {
    const list = await watch({ search: '50%_ÄGYPTEN' });
    await create({ title: 'all of 500 xx ägypten' });
    const threadId = await create({ title: 'only 50%_ägypten today' });
    await list.until('the one that fits', (hint) => hint.threadId === threadId);
    expect(list.hints).toHaveLength(1);
    const { threads } = await stage.app.query(ThreadsDocument, { filter: { search: '50%_ÄGYPTEN' } });
    expect(threads.nodes.map(({ id }) => id)).toEqual([threadId]);
  });

  test('that breaks a rule is refused before anything is told', async () => {
    const { errors } = await stage.app.raw('subscription { threads(filter: { metadata: { a: 1 } }) { threadId } }');
    expect(JSON.stringify(errors)).toMatch(/Metadata values are text/);
    expect(stage.app.skein.counts().followers).toBe(0);
  });
});
