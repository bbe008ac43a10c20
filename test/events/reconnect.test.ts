import { print } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { conversationOf, type Conversation } from '../../src/client/fold.ts';
import {
  ConversationDocument,
  DeleteThreadDocument,
  FollowRunDocument,
  FollowThreadDocument,
  RunDetailsDocument,
  StartRunDocument,
} from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { createScripts, RUNS, type Scripts, WORDS } from './scripts.ts';
import { joined } from './joined.ts';
import { createAssistant, foldAll, ofRun, replayRun, replayThread, stored, tell, visible } from './story.ts';
import { type RunEvent, type ThreadEvent, type Watch, watchRun, watchThread } from './watch.ts';

let model: HeldModel;
let skein: TestSkein;
let assistant: string;
let scripts: Scripts;

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistant = await createAssistant(skein, ['get_temp', 'get_rain']);
  scripts = createScripts(skein, model, assistant);
});

afterAll(async () => {
  // Of all those that left, by whatever way, none is still being told.
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0, activeRuns: 0 }));
  await skein?.close();
  await model?.close();
});

describe('a subscription that goes on from a cursor', () => {
  test.for(RUNS)('delivers exactly the rest, at every cursor of %s', async (name) => {
    const story = await scripts.runs[name]();
    const told = await story.told();
    const end = told.at(-1)!.cursor;
    expect(told.filter(({ __typename }) => __typename.endsWith('Delta')).length).toBeGreaterThanOrEqual(4);
    const whole = visible(foldAll(told));
    expect(whole).toEqual(visible(await stored(skein, story.threadId)));
    await Promise.all(
      told.map(async ({ cursor }, i) => {
        const rest = told.slice(i + 1);
        expect(joined(await replayRun(skein, story.runId, cursor))).toEqual(joined(ofRun(rest)));
        if (rest.length === 0) return;
        const replayed = await replayThread(skein, story.threadId, cursor, end);
        expect(joined(replayed)).toEqual(joined(rest));
        expect(visible(foldAll(replayed, foldAll(told.slice(0, i + 1))))).toEqual(whole);
      }),
    );
    await story.live.kill();
  });

  test('goes on from what a query knew, whenever that was read', async () => {
    const { story, submit } = await scripts.park('The weather, with questions.');
    const known: { of: 'run' | 'thread'; conversation: Promise<Conversation | null> }[] = [];
    const ask = () => {
      known.push(
        { of: 'run', conversation: skein.query(RunDetailsDocument, { id: story.runId }).then(conversationOf) },
        {
          of: 'thread',
          conversation: skein.query(ConversationDocument, { threadId: story.threadId }).then(conversationOf),
        },
      );
    };
    ask();
    await submit();
    ask();
    const answer = await model.asked();
    await scripts.say(story, answer, WORDS, ask);
    answer.end();
    ask();
    const told = await story.told();
    ask();
    const end = told.at(-1)!.cursor;
    const whole = visible(foldAll(told));
    for (const { of, conversation } of known) {
      const from = (await conversation)!;
      const after = from.cursor!;
      const rest =
        of === 'run'
          ? await replayRun(skein, story.runId, after)
          : after === end
            ? []
            : await replayThread(skein, story.threadId, after, end);
      const { messages, runs } = foldAll(rest, from);
      expect(runs).toEqual(whole.runs);
      expect(messages).toEqual(of === 'run' ? whole.messages.filter(({ runId }) => runId !== null) : whole.messages);
      // Nothing that was known is ever taken back on the way.
      const newest = from.messages.at(-1);
      let length = newest?.text.length ?? 0;
      let state = from;
      for (const event of rest) {
        state = foldAll([event], state);
        const text = state.messages.find(({ runId, id }) => runId !== null && id === newest?.id)?.text;
        if (text === undefined) continue;
        expect(text.length).toBeGreaterThanOrEqual(length);
        length = text.length;
      }
    }
    await story.live.kill();
  });

  test('goes on after its socket was cut in the middle of deltas, again and again', async () => {
    const story = await tell(skein, assistant, 'A story, with a bad connection.');
    const answer = await model.asked();
    let watch: Watch<RunEvent | ThreadEvent> = watchRun(skein, story.runId);
    let lost = 0;
    const seen: (RunEvent | ThreadEvent)[] = [];
    const reconnect = async (): Promise<void> => {
      await watch.kill();
      seen.push(...watch.events);
      const { cursor } = watch.state;
      const options = { after: cursor, from: watch.state };
      watch = ++lost % 2 ? watchThread(skein, story.threadId, options) : watchRun(skein, story.runId, options);
    };
    let text = '';
    for (const word of WORDS) {
      answer.say(word);
      text += word;
      await reconnect();
      if (lost % 3 === 0) await watch.until(({ state }) => state.messages.at(-1)?.text === text);
    }
    answer.end();
    await story.told();
    await watch.until(({ state }) => state.runs[0]?.status === 'COMPLETED');
    await reconnect();
    await watch.kill();
    const store = await stored(skein, story.threadId);
    expect(watch.state.runs).toEqual(store.runs);
    expect(watch.state.messages.filter(({ runId }) => runId !== null)).toEqual(
      store.messages.filter(({ runId }) => runId !== null),
    );
    const cursors = seen.filter(({ __typename }) => !__typename.endsWith('Snapshot')).map(({ cursor }) => cursor);
    expect(new Set(cursors).size).toBe(cursors.length);
    expect(lost).toBeGreaterThan(WORDS.length);
    await story.live.kill();
  });

  test('tells all its subscribers the same', async () => {
    const story = await tell(skein, assistant, 'A story, for a crowd.');
    const crowd = Array.from({ length: 12 }, (_, i) =>
      (i % 2 ? watchThread : watchRun)(skein, i % 2 ? story.threadId : story.runId, { after: story.beginning }),
    );
    const answer = await model.asked();
    answer.say(...WORDS);
    await story.live.until(({ state }) => state.messages.at(-1)?.text === WORDS.join(''));
    answer.end();
    const told = await story.told();
    for (const [i, watch] of crowd.entries()) {
      await watch.until(({ events }) => events.at(-1)?.cursor === told.at(-1)!.cursor);
      expect(joined(watch.events as ThreadEvent[])).toEqual(joined(i % 2 ? told : ofRun(told)));
      await watch.kill();
    }
    await story.live.kill();
  });

  test('ends at once behind the last event of a run, though the thread goes on', async () => {
    const story = await tell(skein, assistant, 'First.');
    const first = await model.asked();
    first.say('One.');
    first.end();
    const told = await story.told();
    expect(await replayRun(skein, story.runId, told.at(-1)!.cursor)).toEqual([]);
    const { startRun } = await skein.query(StartRunDocument, {
      input: {
        assistantId: assistant,
        threadId: story.threadId,
        additionalMessages: [{ content: [{ text: 'Second.' }] }],
      },
    });
    const second = await model.asked();
    second.say('Two.');
    await story.live.until(({ state }) => state.messages.at(-1)?.text === 'Two.');
    expect(await replayRun(skein, story.runId, story.live.state.cursor!)).toEqual([]);
    expect(joined(await replayRun(skein, story.runId, story.beginning))).toEqual(joined(ofRun(told)));
    second.end();
    const later = await replayRun(skein, startRun.run!.id, story.beginning);
    expect(later[0]).toMatchObject({ __typename: 'RunStatusChanged', status: 'QUEUED', run: { id: startRun.run!.id } });
    expect(later.at(-1)).toMatchObject({ __typename: 'RunStatusChanged', status: 'COMPLETED' });
    expect(later.every((event) => !('message' in event) || event.message.runId === startRun.run!.id)).toBe(true);
    await story.live.kill();
  });

  test('refuses cursors that are none of its thread', async () => {
    const story = await tell(skein, assistant, 'Hello.');
    const answer = await model.asked();
    answer.say('Hello!');
    answer.end();
    const told = await story.told();
    const other = await tell(skein, assistant, 'Hello too.');
    const last = told.at(-1)!.cursor;
    const [head, number] = [last.slice(0, last.lastIndexOf('.')), Number(last.slice(last.lastIndexOf('.') + 1))];
    for (const after of [
      other.beginning,
      `${head}.${number + 1}`,
      `${head}.-1`,
      `${head}.1e0`,
      `${head}.99999999999999999999`,
      `${head}.`,
      head,
      'x',
      '',
      ' ',
      last + ' ',
    ]) {
      for (const watch of [watchRun(skein, story.runId, { after }), watchThread(skein, story.threadId, { after })]) {
        const error: Error = await watch.ended.then(
          () => expect.fail(`'${after}' was taken`),
          (reason: Error) => reason,
        );
        expect(error.cause, after).toMatchObject([{ extensions: { code: 'UNKNOWN_CURSOR' } }]);
        expect(watch.events).toEqual([]);
      }
    }
    (await model.asked()).end();
    await other.told();
    await story.live.kill();
    await other.live.kill();
  });

  test('speaks over server-sent events as it does over a socket', async () => {
    const story = await tell(skein, assistant, 'A story, over HTTP.');
    const answer = await model.asked();
    await scripts.say(story, answer, WORDS.slice(0, 3));
    const cut = story.live.state.cursor!;
    const fromStart = serverSent<RunEvent>(
      FollowRunDocument,
      { runId: story.runId, after: story.beginning },
      'runEvents',
    );
    const fromHere = serverSent<RunEvent>(FollowRunDocument, { runId: story.runId, after: cut }, 'runEvents');
    const snapshot = serverSent<RunEvent>(FollowRunDocument, { runId: story.runId }, 'runEvents');
    for (const word of WORDS.slice(3)) answer.say(word);
    answer.end();
    const told = await story.told();
    const all = ofRun(told);
    expect(joined(await fromStart)).toEqual(joined(all));
    expect(joined(await fromHere)).toEqual(joined(all.slice(all.findIndex(({ cursor }) => cursor === cut) + 1)));
    expect(visible(foldAll(await snapshot))).toEqual(visible(foldAll(all)));
    await story.live.kill();
  });
});

describe('a thread that is deleted', () => {
  test('ends its subscriptions, and is told to those who come back', async () => {
    const story = await tell(skein, assistant, 'A story nobody wants.');
    const answer = await model.asked();
    await scripts.say(story, answer, WORDS.slice(0, 3));
    const middle = story.live.state.cursor!;
    const run = watchRun(skein, story.runId);
    const snapshot = watchThread(skein, story.threadId);
    await Promise.all([
      run.until(({ events }) => events.length > 0),
      snapshot.until(({ events }) => events.length > 0),
    ]);
    const { deleteThread } = await skein.query(DeleteThreadDocument, { input: { threadId: story.threadId } });
    expect(deleteThread.deletedId).toBe(story.threadId);

    for (const watch of [story.live, snapshot]) {
      const events = await watch.ended;
      expect(events.at(-1)).toMatchObject({ __typename: 'ThreadDeleted', threadId: story.threadId });
      expect(watch.state.deleted).toBe(true);
    }
    await run.ended;
    await answer.closed;

    const last = story.live.events.at(-1)!;
    for (const after of [story.beginning, middle]) {
      expect(await watchThread(skein, story.threadId, { after }).ended).toEqual([last]);
      expect(await serverSent(FollowThreadDocument, { threadId: story.threadId, after }, 'threadEvents')).toEqual([
        last,
      ]);
    }
    expect(await watchThread(skein, story.threadId, { after: last.cursor }).ended).toEqual([]);
    for (const watch of [watchRun(skein, story.runId, { after: middle }), watchThread(skein, story.threadId)]) {
      await expect(watch.ended).rejects.toMatchObject({ cause: [{ extensions: { code: 'NOT_FOUND' } }] });
    }
  });
});

test('those who are still reading when their thread is deleted are told of its end too', async () => {
  for (let i = 0; i < 8; i++) {
    const story = await scripts.runs['a plain answer']();
    await story.told();
    const readers = Array.from({ length: 6 }, () => watchThread(skein, story.threadId, { after: story.beginning }));
    await readers[i % 6]!.until(({ events }) => events.length > i);
    await skein.query(DeleteThreadDocument, { input: { threadId: story.threadId } });
    for (const { ended } of [story.live, ...readers])
      expect((await ended).at(-1)).toMatchObject({ __typename: 'ThreadDeleted' });
  }
});

/** All events of a subscription that ends by itself, over HTTP. */
async function serverSent<Event>(
  document: Parameters<typeof print>[0],
  variables: object,
  field: string,
): Promise<Event[]> {
  const response = await fetch(`${skein.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${skein.key}` },
    body: JSON.stringify({ query: print(document), variables }),
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const events: Event[] = [];
  for (const block of (await response.text()).split('\n\n')) {
    const lines = block.split('\n');
    if (!lines.includes('event: next')) continue;
    const { data, errors } = JSON.parse(lines.find((line) => line.startsWith('data: '))!.slice(6)) as {
      data: Record<string, Event>;
      errors?: unknown;
    };
    expect(errors).toBeUndefined();
    events.push(data[field]!);
  }
  return events;
}
