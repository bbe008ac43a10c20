import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { eventually } from '../eventually.ts';
import {
  CancelRunDocument,
  ConversationDocument,
  CreateMessageDocument,
  CreateThreadDocument,
  DeleteThreadDocument,
  RunDetailsDocument,
  StartRunDocument,
  UpdateThreadDocument,
} from '../../src/generated/graphql/graphql.ts';
import { mintId } from '../../src/ids.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { type LogRows, logRows, numberOf } from './log-rows.ts';
import { createScripts, type Scripts } from './scripts.ts';
import { createAssistant, foldAll, stored, type Story, tell, visible } from './story.ts';
import { watchRun, watchThread } from './watch.ts';

const DAY_MS = 86_400_000;
const NOW = Date.now();
/** Ids carry the time they were minted at, so what is to be old is made in another time: by all of this process. */
const itIs = (daysAgo: number) => vi.setSystemTime(NOW - daysAgo * DAY_MS);

/** Things of ten days ago, of seven days ago, and a server that keeps everything for five, four days ago. */
let model: HeldModel;
let skein: TestSkein;
let rows: Rows;
let kept: LogRows;
let assistant: string;
let scripts: Scripts;
let other: { key: string; projectId: string; before: string };
let forgotten: Story;
let alive: { story: Story; later: string; usage: unknown };
let waiting: { story: Story; submit(): Promise<unknown> };
/** Its one run is old, and it was changed since. */
let renamed: Story;
let inLine: { story: Story; submit(): Promise<unknown>; left: string };
const threads: Record<'spokenTo' | 'young' | 'last', string> = {} as never;
const files: Record<'old' | 'young', string> = {} as never;


beforeAll(async () => {
  itIs(10);
  model = await openHeldModel();
  skein = await startSkein({
    OPENAI_BASE_URL: model.url,
    CHORES_EVERY_SECONDS: '1',
    LOG_COMPACT_AFTER_SECONDS: '0',
    RETAIN_RUNS_DAYS: '5',
    RETAIN_THREADS_DAYS: '5',
    RETAIN_FILES_DAYS: '5',
    // Whether a run's time is over is asked of the database, which knows nothing of our days.
    RUN_EXPIRES_AFTER_SECONDS: String(30 * 86_400),
  });
  rows = await openRows(skein);
  kept = logRows(rows);
  assistant = await createAssistant(skein, ['get_temp', 'get_rain']);
  scripts = createScripts(skein, model, assistant);

  forgotten = await answered('Nobody will ask for this again.');
  const story = await answered('Which lake is the deepest?');
  waiting = await scripts.park('How is the weather?');
  inLine = await withOneThatLeftTheLine();
  threads.spokenTo = await createThread('Hello?');
  renamed = await answered('What shall we call this?');
  files.old = await insertFile();
  await answered('The last of the old ones.').then(({ threadId, live }) => ((threads.last = threadId), live.kill()));
  await rows.query('update thread set updated_at = $1', [new Date()]);

  itIs(7);
  const later = await speakIn(story, 'And the largest?', 'The Caspian Sea.');
  alive = { story, later, usage: (await usage(story.threadId)).totalTokens };
  const message = { threadId: threads.spokenTo, content: [{ text: 'Anybody there?' }] };
  await skein.query(CreateMessageDocument, { input: message });
  await skein.query(UpdateThreadDocument, { input: { threadId: renamed.threadId, title: 'Titled' } });
  threads.young = await createThread('Hi.');
  files.young = await insertFile();
  other = await otherProject();

  itIs(4);
  // Oldest first: with the last of the old ones, all others have been looked at.
  await eventually(async () => {
    expect(await rows.query('select 1 from run where thread_id = $1', [threads.last])).toEqual([]);
    expect((await kept.log(threads.last)).map(({ type }) => type)).toEqual(['ThreadDeleted']);
    expect(await rows.query('select 1 from file where id = $1', [files.old])).toEqual([]);
    expect(await rows.query('select 1 from run where id = $1', [alive.story.runId])).toEqual([]);
  });
});

afterAll(async () => {
  vi.useRealTimers();
  await Promise.all([alive?.story, renamed, waiting?.story, inLine?.story].map((story) => story?.live.kill()));
  await rows?.close();
  await skein?.close();
  await model?.close();
});

async function answered(said: string): Promise<Story> {
  const story = await tell(skein, assistant, said);
  const answer = await model.asked();
  await scripts.say(story, answer, ['Well, ', 'yes.']);
  answer.end();
  await story.told();
  return story;
}

async function speakIn({ threadId, live }: Story, text: string, reply: string): Promise<string> {
  const { startRun } = await skein.query(StartRunDocument, {
    input: { assistantId: assistant, threadId, additionalMessages: [{ content: [{ text }] }] },
  });
  expect(startRun.userErrors).toEqual([]);
  const { id } = startRun.run!;
  const answer = await model.asked();
  answer.say(reply);
  answer.end();
  await live.until(({ state }) => state.runs.find((run) => run.id === id)?.status === 'COMPLETED');
  return id;
}

/** A run that waits for its caller, and in the middle of what the log tells of it the end of another. */
async function withOneThatLeftTheLine(): Promise<typeof inLine> {
  const parked = await scripts.park('How is the weather, and then?');
  const { startRun } = await skein.query(StartRunDocument, {
    input: { assistantId: assistant, threadId: parked.story.threadId, ifBusy: 'ENQUEUE' },
  });
  const left = startRun.run!.id;
  expect((await skein.query(CancelRunDocument, { input: { runId: left } })).cancelRun.userErrors).toEqual([]);
  const { live } = parked.story;
  await live.until(({ state }) => state.runs.find(({ id }) => id === left)?.status === 'CANCELLED');
  return { ...parked, left };
}

async function createThread(text: string, key?: string): Promise<string> {
  const input = { messages: [{ content: [{ text }] }] };
  return (await skein.query(CreateThreadDocument, { input }, key)).createThread.thread!.id;
}

async function insertFile(): Promise<string> {
  const [{ projectId }] = (await rows.query<{ projectId: string }>('select project_id as "projectId" from thread')) as [
    { projectId: string },
  ];
  const id = mintId('File');
  await rows.query(
    `insert into file (id, project_id, filename, bytes, content_type, sha256, purpose, created_at, storage_key)
values ($1, $2, 'a.txt', 1, 'text/plain', '', 'USER_DATA', $3, $1)`,
    [id, projectId, new Date()],
  );
  return id;
}

/** A project in which everything is young. */
async function otherProject(): Promise<typeof other> {
  const { data } = await skein.raw(
    'mutation { createProject(input: { name: "other" }) { created { project { id } firstKey { secret } } } }',
  );
  const { project, firstKey } = (data as { createProject: { created: Created } }).createProject.created;
  await createThread('Ours.', firstKey.secret);
  return { key: firstKey.secret, projectId: project.id, before: await rows.dumpOf(project.id) };
}
interface Created {
  project: { id: string };
  firstKey: { secret: string };
}

async function usage(threadId: string) {
  const { thread } = await skein.query(ConversationDocument, { threadId });
  return thread!.usage;
}

const exists = async (id: string): Promise<boolean> => {
  const { data } = await skein.raw('query ($id: ID!) { node(id: $id) { id } }', { id });
  return data!.node !== null;
};

describe('runs that have been over for long', () => {
  test('leave with their steps, and what they said stays in their threads', async () => {
    const { threadId, runId } = alive.story;
    expect(await exists(runId)).toBe(false);
    expect((await skein.query(RunDetailsDocument, { id: runId })).run).toBeNull();
    expect(await rows.query('select 1 from run_step where run_id = $1', [runId])).toEqual([]);
    const { thread } = await skein.query(ConversationDocument, { threadId });
    expect(thread!.messages.nodes.map(({ text, run }) => [text, run?.id ?? null])).toEqual([
      ['Which lake is the deepest?', null],
      ['Well, yes.', null],
      ['And the largest?', null],
      ['The Caspian Sea.', alive.later],
    ]);
    expect(thread!.usage.totalTokens).toBe(Number(alive.usage) / 2);
    const { runs } = await stored(skein, threadId);
    expect(runs.map(({ id }) => id)).toEqual([alive.later]);
  });

  test('take the log up to their end with them, and readers who stood in it begin again', async () => {
    const { threadId, beginning, runId } = alive.story;
    const told = alive.story.live.events;
    const end = told.findLastIndex((event) => event.__typename === 'RunStatusChanged' && event.run.id === runId);
    expect(await kept.logFrom(threadId)).toBe(numberOf(told[end]!));
    const log = await kept.log(threadId);
    expect(log[0]!.number).toBe(numberOf(told[end]!) + 1);
    expect(log.some((event) => event.runId === runId)).toBe(false);
    const whole = visible(await stored(skein, threadId));
    for (const [i, after] of [beginning, ...told.map(({ cursor }) => cursor)].slice(0, -1).entries()) {
      const watch = watchThread(skein, threadId, { after, from: foldAll(told.slice(0, i)) });
      await watch.until(({ state }) => state.cursor === told.at(-1)!.cursor);
      await watch.kill();
      expect(watch.events[0]!.__typename === 'ThreadSnapshot').toBe(i <= end);
      if (i <= end) expect(visible(watch.state)).toEqual(whole);
      else expect(watch.state.messages).toEqual(whole.messages);
    }
    await expect(watchRun(skein, runId, { after: beginning }).ended).rejects.toMatchObject({
      cause: [{ extensions: { code: 'NOT_FOUND' } }],
    });
  });

  test('are not missed by the runs that come then, nor by those who follow them', async () => {
    const { story } = alive;
    const before = story.live.events.length;
    const runId = await speakIn(story, 'And the smallest?', 'Hard to say.');
    const fresh = story.live.events.slice(before);
    expect(fresh.some(({ __typename }) => __typename.endsWith('Snapshot'))).toBe(false);
    expect(numberOf(fresh[0]!)).toBe(numberOf(story.live.events[before - 1]!) + 1);
    expect((await stored(skein, story.threadId)).messages).toEqual(story.live.state.messages);
    expect(await exists(runId)).toBe(true);
  });

  test('leave the place where the log ends, for what comes behind it', async () => {
    const { threadId, live } = renamed;
    const end = live.events.at(-1)!;
    expect((await kept.log(threadId)).map(({ number }) => number)).toEqual([numberOf(end)]);
    const { thread } = await skein.query(ConversationDocument, { threadId });
    expect(thread!.cursor).toBe(end.cursor);
    const before = live.events.length;
    await speakIn(renamed, 'And now?', 'Now it has a name.');
    expect(live.events.slice(before).map(({ __typename }) => __typename)).not.toContain('ThreadSnapshot');
    expect(numberOf(live.events[before]!)).toBe(numberOf(end) + 1);
    expect((await stored(skein, threadId)).messages).toEqual(live.state.messages);
  });

  test('stay when they are not over, and with them what the log tells between their events', async () => {
    for (const { story } of [waiting, inLine]) {
      expect(await kept.logFrom(story.threadId)).toBe(0);
      const watch = watchThread(skein, story.threadId, { after: story.beginning });
      await watch.until(({ state }) => state.cursor === story.live.state.cursor);
      await watch.kill();
      expect(visible(watch.state)).toEqual(visible(story.live.state));
    }
    expect(await exists(inLine.left)).toBe(true);
    for (const { story, submit } of [waiting, inLine]) {
      await submit();
      const answer = await model.asked();
      answer.say('Dry.');
      answer.end();
      await story.live.until(({ state }) => state.runs[0]?.status === 'COMPLETED');
    }
    // Nobody stands before it now; the run around it is over, but not for long.
    const { threadId, runId, beginning } = inLine.story;
    await eventually(async () => expect(await exists(inLine.left)).toBe(false));
    const watch = watchRun(skein, runId, { after: beginning });
    expect((await watch.ended).map(({ __typename }) => __typename)).toEqual(['RunSnapshot']);
    expect(watch.state.runs).toEqual((await stored(skein, threadId)).runs);
    expect(watch.state.runs[0]!.steps).toHaveLength(2);
  });
});

describe('threads', () => {
  test('in which nothing happened for long are deleted, and their readers are told', async () => {
    const last = (await forgotten.live.ended).at(-1)!;
    expect(last).toMatchObject({ __typename: 'ThreadDeleted', threadId: forgotten.threadId });
    expect((await skein.query(ConversationDocument, { threadId: forgotten.threadId })).thread).toBeNull();
    for (const after of [forgotten.beginning, forgotten.live.events[3]!.cursor]) {
      expect(await watchThread(skein, forgotten.threadId, { after }).ended).toEqual([last]);
    }
    for (const table of ['message', 'run', 'run_step']) {
      expect(await rows.query(`select 1 from ${table} where thread_id = $1`, [forgotten.threadId])).toEqual([]);
    }
  });

  test('that were spoken in, changed or made since are not', async () => {
    const stories = [alive.story, renamed, waiting.story, inLine.story];
    for (const id of [threads.spokenTo, threads.young, ...stories.map(({ threadId }) => threadId)]) {
      expect(await exists(id), id).toBe(true);
    }
  });

  test('of another project are touched by nothing of this', async () => {
    expect(await rows.dumpOf(other.projectId)).toBe(other.before);
  });

  test('that were deleted are forgotten after a month', async () => {
    const threadId = await createThread('Short.');
    const another = await createThread('Short too.');
    for (const id of [threadId, another]) await skein.query(DeleteThreadDocument, { input: { threadId: id } });
    const after = `${threadId.slice('thread_'.length)}.1`;
    expect(await watchThread(skein, threadId, { after }).ended).toMatchObject([{ __typename: 'ThreadDeleted' }]);
    await rows.query(`update thread set deleted_at = deleted_at - interval '31 days' where id = $1`, [threadId]);
    await eventually(async () => expect(await rows.query('select 1 from thread where id = $1', [threadId])).toEqual([]));
    expect(await kept.log(threadId)).toEqual([]);
    await expect(watchThread(skein, threadId, { after }).ended).rejects.toMatchObject({
      cause: [{ extensions: { code: 'NOT_FOUND' } }],
    });
    expect((await kept.log(another)).map(({ type }) => type)).toEqual(['ThreadDeleted']);
  });
});

test('files that were stored long ago are removed, and no others', async () => {
  expect(await exists(files.old)).toBe(false);
  expect(await exists(files.young)).toBe(true);
});

test('idempotency keys are forgotten when their day is over', async () => {
  const create = async (idempotencyKey: string) =>
    (await skein.query(CreateThreadDocument, { input: { idempotencyKey } })).createThread.thread!.id;
  const [old, young] = [await create('old'), await create('young')];
  expect(await create('old')).toBe(old);
  await rows.query(`update idempotency_key set created_at = created_at - interval '25 hours' where key = 'old'`);
  const keys = async () => (await rows.query<{ key: string }>('select key from idempotency_key')).map(({ key }) => key);
  await eventually(async () => expect(await keys()).toEqual(['young']));
  expect(await create('old')).not.toBe(old);
  expect(await create('young')).toBe(young);
});
