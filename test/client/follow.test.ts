import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SubmitToolOutputsDocument } from '../../src/generated/graphql/graphql.ts';
import { type HeldModel, openHeldModel } from '../events/held-model.ts';
import { createScripts, type Scripts, WORDS } from '../events/scripts.ts';
import { createAssistant, foldAll, stored, tell } from '../events/story.ts';
import { eventually } from '../eventually.ts';
import { openRows } from '../graph/rows.ts';
import { numberOf } from '../events/log-rows.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { expectSeamless, type Followed, followed, sameAs } from './followed.ts';
import { openWire, type Wire } from './wire.ts';

let model: HeldModel;
let skein: TestSkein;
let assistant: string;
let scripts: Scripts;
const wires: Wire[] = [];

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistant = await createAssistant(skein, ['get_temp', 'get_rain']);
  scripts = createScripts(skein, model, assistant);
});

afterAll(async () => {
  for (const wire of wires) await wire.close();
  await eventually(() => expect(skein?.skein.counts()).toMatchObject({ followers: 0, sockets: 0, activeRuns: 0 }));
  await skein?.close();
  await model?.close();
});

async function newWire(): Promise<Wire> {
  const wire = await openWire(skein);
  wires.push(wire);
  return wire;
}

describe('a connection that is cut', () => {
  /** Two functions are called, then words are said; each follower's connection is cut at places of its own. */
  async function told(begin: (threadId: string, beginning: string) => Promise<{ wire: Wire; follower: Followed }[]>) {
    const story = await tell(skein, assistant, 'How is the weather?');
    const followers = await begin(story.threadId, story.beginning);
    await Promise.all(followers.map(({ follower }) => follower.until(({ events }) => events.length > 0)));
    const calls = await model.asked();
    for (const [index, name] of ['get_temp', 'get_rain'].entries()) calls.call(index, name, '{"ci', 'ty":', '"Oslo"}');
    await story.live.until(({ events }) => JSON.stringify(events.slice(-1)).includes('Oslo'));
    calls.end('tool_calls');
    await story.live.until(({ state }) => state.runs.at(-1)?.status === 'REQUIRES_ACTION');
    const { toolCalls } = story.live.state.runs.at(-1)!.requiredAction!;
    const toolOutputs = toolCalls.map(({ id, name }) => ({ toolCallId: id, output: name }));
    await skein.query(SubmitToolOutputsDocument, { input: { runId: story.runId, toolOutputs } });
    const answer = await model.asked();
    await scripts.say(story, answer, WORDS);
    answer.end();
    const events = await story.told();
    const end = events.at(-1)!.cursor;
    for (const { follower } of followers) await follower.until(({ state }) => state.cursor === end);
    const store = await stored(skein, story.threadId);
    for (const { wire, follower } of followers) {
      expectSeamless(wire, follower, events);
      if (follower.events[0]!.__typename === 'ThreadSnapshot') sameAs(follower.state, store);
      else sameAs(foldAll(follower.events), store);
      follower.stop();
    }
    await story.live.kill();
    return followers;
  }

  test('behind any event goes on with the next, and asks for nothing that it has', async () => {
    const places = 24;
    const followers = await told((threadId, beginning) =>
      Promise.all(
        Array.from({ length: places }, async (_, place) => {
          const wire = await newWire();
          const onEvent = (count: number) => {
            if (count % places === place) wire.cut();
          };
          return { wire, follower: followed(wire, threadId, { after: place % 2 ? beginning : null, onEvent }) };
        }),
      ),
    );
    const cut = followers.filter(({ follower }) => follower.statuses.length >= 4);
    expect(cut.length).toBeGreaterThan(places / 2);
    for (const { wire } of cut) expect(wire.subscribed.length).toBeGreaterThanOrEqual(2);
  });

  test('behind every event makes its way all the same', async () => {
    const [{ wire, follower }] = (await told(async (threadId, beginning) => {
      const cut = await newWire();
      return [{ wire: cut, follower: followed(cut, threadId, { after: beginning, onEvent: () => cut.cut() }) }];
    })) as [{ wire: Wire; follower: Followed }];
    expect(wire.subscribed.length).toBeGreaterThanOrEqual(3);
    expect(follower.statuses.filter((status) => status === 'reconnecting').length).toBeGreaterThanOrEqual(2);
  });

  test('in the middle of a frame, or of the greeting, loses nothing and repeats nothing', async () => {
    const followers = await told((threadId, beginning) =>
      Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const wire = await newWire();
          // Each connection lives longer than the one before, so that there is an end.
          let bytes = 100 + 53 * i;
          wire.cutAfter(() => (bytes = Math.ceil(bytes * 1.8)));
          return { wire, follower: followed(wire, threadId, { after: beginning }) };
        }),
      ),
    );
    for (const { wire } of followers) expect(wire.subscribed.length).toBeGreaterThanOrEqual(2);
  });
});

describe('a server that goes and comes back', () => {
  test('is come back to, and what it does again is seen as it is stored', async () => {
    const story = await tell(skein, assistant, 'A story.');
    const wire = await newWire();
    const follower = followed(wire, story.threadId);
    const lost = await model.asked();
    lost.say('It was ', 'a dark ');
    await follower.until(({ state }) => state.messages.at(-1)?.text === 'It was a dark ');
    await story.live.kill();
    const restarted = skein.restart();
    await follower.until(({ statuses }) => statuses.at(-1) === 'reconnecting');
    // Nothing that was seen is taken away because of it.
    expect(follower.state.messages.at(-1)!.text).toBe('It was a dark ');
    await restarted;
    const again = await model.asked();
    again.say('Once ', 'upon ');
    await follower.until(({ state }) => state.messages.at(-1)?.text === 'Once upon ');
    again.say('a time.');
    again.end();
    await follower.until(({ state }) => state.runs[0]?.status === 'COMPLETED');
    sameAs(follower.state, await stored(skein, story.threadId));
    expect(follower.state.messages.map(({ text }) => text)).toEqual(['A story.', 'Once upon a time.']);
    expect(follower.statuses).toEqual(['connecting', 'live', 'reconnecting', 'live']);
    expect(follower.events.filter(({ __typename }) => __typename === 'ThreadSnapshot')).toHaveLength(1);
    expect(wire.requests).toEqual([]);
    follower.stop();
  });

  test('with an older log is read anew, from a snapshot on', async () => {
    const story = await tell(skein, assistant, 'A story that is taken back.');
    const answer = await model.asked();
    answer.say(...WORDS);
    answer.end();
    const told = await story.told();
    const wire = await newWire();
    const follower = followed(wire, story.threadId, { after: story.beginning });
    await follower.until(({ state }) => state.cursor === told.at(-1)!.cursor);
    await story.live.kill();
    await wire.refuse();

    // As a backup of before the run would have it.
    const rows = await openRows(skein);
    await rows.query('delete from event where thread_id = $1 and number > $2', [story.threadId, numberOf({ cursor: story.beginning })]);
    await rows.query('delete from message where thread_id = $1 and run_id is not null', [story.threadId]);
    await rows.query('delete from run_step where run_id = $1', [story.runId]);
    await rows.query('delete from run where id = $1', [story.runId]);
    await rows.close();
    await skein.restart();
    await wire.admit();

    await follower.until(({ events }) => events.at(-1)!.__typename === 'ThreadSnapshot');
    expect(follower.state.runs).toEqual([]);
    sameAs(follower.state, await stored(skein, story.threadId));
    expect(wire.subscribed.map(({ variables }) => variables.after)).toEqual([
      story.beginning,
      ...wire.subscribed.slice(1, -1).map(() => told.at(-1)!.cursor),
      null,
    ]);
    expect(follower.statuses).toEqual(['connecting', 'live', 'reconnecting', 'live']);
    follower.stop();
  });
});
