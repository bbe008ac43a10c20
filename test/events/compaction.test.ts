import { once } from 'node:events';
import http from 'node:http';
import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { DeleteThreadDocument, FollowRunDocument, StartRunDocument } from '../../src/generated/graphql/graphql.ts';
import { openRows, type Rows } from '../graph/rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { joined } from './joined.ts';
import { isDelta, type LogRows, logRows, numberOf } from './log-rows.ts';
import { createScripts, RUNS, type Scripts, WORDS } from './scripts.ts';
import {
  createAssistant,
  foldAll,
  ofRun,
  replayRun,
  replayThread,
  stored,
  type Story,
  tell,
  visible,
} from './story.ts';
import { type RunEvent, type ThreadEvent, watchRun, watchThread } from './watch.ts';

/** Of tests that read again and again, on a machine that has other things to do. */
const SLOW = { timeout: 60_000 };

let model: HeldModel;
let skein: TestSkein;
let rows: Rows;
let kept: LogRows;
let assistant: string;
let scripts: Scripts;

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url, CHORES_EVERY_SECONDS: '1' });
  rows = await openRows(skein);
  kept = logRows(rows);
  assistant = await createAssistant(skein, ['get_temp', 'get_rain']);
  scripts = createScripts(skein, model, assistant);
});

afterAll(async () => {
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0, activeRuns: 0 }));
  await rows?.close();
  await skein?.close();
  await model?.close();
});

const ofRuns = ({ messages, runs }: ReturnType<typeof foldAll>) => ({
  messages: messages.filter(({ runId }) => runId !== null),
  runs,
});

/** The rest of a thread's log as a reader with this cursor gets it, folded onto what the reader knew. */
async function rest(story: Story, told: readonly ThreadEvent[], known: number) {
  const cursor = known === 0 ? story.beginning : told[known - 1]!.cursor;
  const from = foldAll(told.slice(0, known));
  const end = told.at(-1)!.cursor;
  const run = await replayRun(skein, story.runId, cursor);
  if (cursor === end) return { from, run, thread: [] };
  const watch = watchThread(skein, story.threadId, { after: cursor });
  await watch.until(({ state }) => state.cursor === end);
  await watch.kill();
  return { from, run, thread: [...watch.events] };
}

async function sayMore(story: Story, words: readonly string[], additionalMessages = ['And then?']) {
  const { startRun } = await skein.query(StartRunDocument, {
    input: {
      assistantId: assistant,
      threadId: story.threadId,
      additionalMessages: additionalMessages.map((text) => ({ content: [{ text }] })),
    },
  });
  const answer = await model.asked();
  await scripts.say(story, answer, words);
  return { runId: startRun.run!.id, answer };
}

const isOver =
  (runId: string) =>
  ({ events }: { events: readonly ThreadEvent[] }) =>
    events.some(
      (event) => event.__typename === 'RunStatusChanged' && event.run.id === runId && event.status === 'COMPLETED',
    );

async function answered(said = 'Which lake is the deepest?', words: readonly string[] = WORDS): Promise<Story> {
  const story = await tell(skein, assistant, said);
  const answer = await model.asked();
  await scripts.say(story, answer, words);
  answer.end();
  await story.told();
  return story;
}

describe('once a run has been over for a while', () => {
  test.for(RUNS)('its deltas are gone, and a reader at every cursor of %s still gets the whole', SLOW, async (name) => {
    const story = await scripts.runs[name]();
    const told = await story.told();
    const whole = visible(foldAll(told));
    const before = await stored(skein, story.threadId);
    expect(whole).toEqual(visible(before));
    for (let known = 0; known <= told.length; known++) {
      const { from, run, thread } = await rest(story, told, known);
      expect(joined(thread)).toEqual(joined(told.slice(known)));
      expect(joined(run)).toEqual(joined(ofRun(told.slice(known))));
      expect(visible(foldAll(thread, from))).toEqual(whole);
    }

    await kept.age(story.runId);
    await kept.compacted(story.runId);

    const gone = Math.max(...told.filter(isDelta).map(numberOf));
    expect(await kept.logFrom(story.threadId)).toBe(gone);
    expect((await kept.log(story.threadId)).map(({ number, type }) => [number, type])).toEqual(
      told.filter((event) => !isDelta(event)).map((event) => [numberOf(event), event.__typename]),
    );
    expect(await stored(skein, story.threadId)).toEqual(before);
    let snapshots = 0;
    for (let known = 0; known <= told.length; known++) {
      const { from, run, thread } = await rest(story, told, known);
      if (known > 0 && numberOf(told[known - 1]!) >= gone) {
        expect(joined(thread)).toEqual(joined(told.slice(known)));
        expect(joined(run)).toEqual(joined(ofRun(told.slice(known))));
      } else {
        expect([thread, run]).toMatchObject([[{ __typename: 'ThreadSnapshot' }], [{ __typename: 'RunSnapshot' }]]);
        snapshots += 1;
      }
      expect(visible(foldAll(thread, from))).toEqual(whole);
      expect(ofRuns(foldAll(run, from))).toEqual(ofRuns(foldAll(told)));
    }
    expect(snapshots).toBe(told.filter((event) => numberOf(event) < gone).length + 1);
    expect((await watchRun(skein, story.runId).ended).map(({ __typename }) => __typename)).toEqual(['RunSnapshot']);
    await story.live.kill();
  });

  test('what goes on in its thread goes on, and its readers notice nothing', async () => {
    const story = await answered();
    const first = await story.told();
    const { runId, answer } = await sayMore(story, WORDS.slice(0, 4));
    await kept.age(story.runId);
    let words = 0;
    let done = false;
    const compacted = kept.compacted(story.runId).then(() => (done = true));
    // Words go on until it has happened, and a while longer.
    let text = WORDS.slice(0, 4).join('');
    for (let after = 0; after < 5; words++) {
      const word = `word${words} `;
      answer.say(word);
      text += word;
      await story.live.until(({ state }) => state.messages.at(-1)?.text === text);
      if (done) after += 1;
    }
    await compacted;
    const gone = await kept.logFrom(story.threadId);
    expect(gone).toBe(Math.max(...first.filter(isDelta).map(numberOf)));

    // Who comes now, with a cursor from within the first run, gets a snapshot of both and what follows.
    const lagging = first.find(isDelta)!;
    const thread = watchThread(skein, story.threadId, { after: lagging.cursor });
    const run = watchRun(skein, runId, { after: lagging.cursor });
    await thread.until(({ events }) => events.length > 0);
    expect(thread.events[0]).toMatchObject({ __typename: 'ThreadSnapshot' });
    expect(thread.state.messages.at(-1)).toMatchObject({ status: 'IN_PROGRESS', text });
    answer.say('The end.');
    answer.end();
    await story.live.until(isOver(runId));
    const end = story.live.state.cursor!;
    await thread.until(({ state }) => state.cursor === end);

    const store = await stored(skein, story.threadId);
    expect(store.messages.at(-1)!.text).toBe(`${text}The end.`);
    const all = story.live.events;
    expect(all.some(({ __typename }) => __typename.endsWith('Snapshot'))).toBe(false);
    expect(visible(story.live.state)).toEqual(visible(store));
    expect(visible(thread.state)).toEqual(visible(store));
    expect(thread.events.filter(({ __typename }) => __typename.endsWith('Snapshot'))).toHaveLength(1);
    // The run that went on has its log whole.
    const own = all.filter((event) => numberOf(event) > numberOf(first.at(-1)!));
    expect(joined(await run.ended)).toEqual(joined(ofRun(own)));
    const left = (await kept.log(story.threadId)).filter(({ number }) => number > gone);
    expect(left.map(({ number }) => number)).toEqual(left.map((_, i) => gone + 1 + i));
    expect(left.at(-1)!.number).toBe(numberOf(all.at(-1)!));
    await thread.kill();
    await story.live.kill();
  });

  test('a reader that fell behind in the middle begins again with a snapshot', SLOW, async () => {
    const story = await tell(skein, assistant, 'A long story.');
    const answer = await model.asked();
    const words = 540; // more than the tail keeps for a reader, and than it reads at once
    for (let i = 1; i <= words; i++) {
      answer.say(`${i} ${'la '.repeat(5000)}`);
      await story.live.until(({ events }) => events.filter(isDelta).length >= i);
    }
    answer.end();
    const told = await story.told();
    await story.live.kill();
    // Over HTTP, so that the server asks for the next event only when this one has been taken.
    const slow = await slowReader(story.runId, story.beginning);
    const events = [await slow.next()];
    await kept.age(story.runId);
    await kept.compacted(story.runId);
    for (let event = await slow.next(); event; event = await slow.next()) events.push(event);
    const snapshots = events.filter((event) => event!.__typename === 'RunSnapshot');
    expect(snapshots.length, `of ${events.length} events`).toBe(1);
    expect(events.at(-1)).toBe(snapshots[0]);
    expect(ofRuns(foldAll(events as never))).toEqual(ofRuns(foldAll(told)));
  });

  test('a thread that is deleted says so to whoever stood in what was gone already', async () => {
    const story = await answered();
    const told = await story.told();
    await kept.age(story.runId);
    await kept.compacted(story.runId);
    await skein.query(DeleteThreadDocument, { input: { threadId: story.threadId } });
    const last = (await story.live.ended).at(-1)!;
    expect(last).toMatchObject({ __typename: 'ThreadDeleted' });
    for (const after of [story.beginning, ...told.map(({ cursor }) => cursor)]) {
      expect(await watchThread(skein, story.threadId, { after }).ended).toEqual([last]);
    }
    expect(await kept.log(story.threadId)).toEqual([{ number: numberOf(last), type: 'ThreadDeleted', runId: null }]);
  });

  test(
    'readers that come back while their thread is deleted are told of its end, whatever they still see',
    SLOW,
    async () => {
      const ways = new Set<string>();
      for (let round = 0; round < 6; round++) {
        const story = await answered('Soon forgotten.', ['Yes', ' indeed.']);
        await kept.age(story.runId);
        await kept.compacted(story.runId);
        const readers = Array.from({ length: 8 }, () => watchThread(skein, story.threadId, { after: story.beginning }));
        await readers[round]!.until(({ events }) => events.length > 0);
        readers.push(
          ...Array.from({ length: 8 }, () => watchThread(skein, story.threadId, { after: story.beginning })),
        );
        await skein.query(DeleteThreadDocument, { input: { threadId: story.threadId } });
        for (const { ended } of readers) {
          const types = (await ended).map(({ __typename }) => __typename);
          expect(types.at(-1)).toBe('ThreadDeleted');
          expect(types.slice(0, -1).every((type) => type === 'ThreadSnapshot')).toBe(true);
          ways.add(types.join(' '));
        }
        await story.live.ended;
      }
      expect(ways).toContain('ThreadSnapshot ThreadDeleted');
    },
  );
});

test('a run that is not over keeps its deltas, however long it takes', async () => {
  const { story: parked } = await scripts.park('How is the weather?');
  const speaking = await tell(skein, assistant, 'A story.');
  const answer = await model.asked();
  await scripts.say(speaking, answer, WORDS.slice(0, 4));
  const held = [parked, speaking];
  await rows.query(
    `update run set created_at = created_at - interval '1 day', started_at = started_at - interval '1 day' where id = any($1)`,
    [held.map(({ runId }) => runId)],
  );
  // Another run that is old enough: when it is compacted, these two have been passed over.
  const witness = await answered();
  await kept.age(witness.runId);
  await kept.compacted(witness.runId);
  for (const { threadId, beginning, live } of held) {
    const end = live.state.cursor!;
    const log = await kept.log(threadId);
    expect(log.map(({ number }) => number)).toEqual(log.map((_, i) => i + 1));
    expect(log.filter(({ type }) => type.endsWith('Delta')).length).toBeGreaterThanOrEqual(4);
    expect(await kept.logFrom(threadId)).toBe(0);
    expect(await rows.query('select 1 from run where thread_id = $1 and compacted', [threadId])).toEqual([]);
    expect(joined(await replayThread(skein, threadId, beginning, end))).toEqual(joined(live.events));
  }
  answer.end();
  await speaking.told();
  for (const { live } of [...held, witness]) await live.kill();
});

test('a message that was superseded is still found with its words', async () => {
  const story = await answered('Which lake?', ['Lake ', 'Baikal.']);
  const id = story.live.state.messages.at(-1)!.id;
  await rows.query(
    `update message set status = 'INCOMPLETE', incomplete_reason = 'SUPERSEDED', incomplete_at = completed_at, completed_at = null where id = $1`,
    [id],
  );
  await kept.age(story.runId);
  await kept.compacted(story.runId);
  const found = await skein.raw(
    'query ($id: ID!) { node(id: $id) { ... on Message { text incompleteDetails { reason } } } }',
    { id },
  );
  expect(found.data).toEqual({ node: { text: 'Lake Baikal.', incompleteDetails: { reason: 'SUPERSEDED' } } });
  const watch = watchThread(skein, story.threadId, { after: story.beginning });
  await watch.until(({ events }) => events.length === 1);
  expect(watch.state.messages.map(({ text }) => text)).toEqual(['Which lake?']);
  await watch.kill();
  await story.live.kill();
});

/** Reads a subscription over HTTP event by event: as long as nobody asks for the next one, nothing is read. */
async function slowReader(runId: string, after: string): Promise<{ next(): Promise<RunEvent | null> }> {
  const request = http.request(`${skein.url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${skein.key}` },
  });
  request.end(JSON.stringify({ query: print(FollowRunDocument), variables: { runId, after } }));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const chunks = response.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;
  let text = '';
  const next = async (): Promise<RunEvent | null> => {
    while (!text.includes('\n\n')) {
      const { done, value } = await chunks.next();
      if (done) return null;
      text += value;
    }
    const end = text.indexOf('\n\n');
    const lines = text.slice(0, end).split('\n');
    text = text.slice(end + 2);
    if (!lines.includes('event: next')) return next();
    const { data, errors } = JSON.parse(lines.find((line) => line.startsWith('data: '))!.slice(6)) as {
      data: { runEvents: RunEvent };
      errors?: unknown;
    };
    expect(errors).toBeUndefined();
    return data.runEvents;
  };
  return { next };
}
