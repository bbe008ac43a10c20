import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import { ConversationDocument, RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { type HeldModel, openHeldModel } from './held-model.ts';
import { joined } from './joined.ts';
import { numberOf } from './log-rows.ts';
import { createAssistant, expectFaithful, stored, tell, visible } from './story.ts';
import { type RunEvent, type ThreadEvent, type Watch, watchRun, watchThread } from './watch.ts';

let model: HeldModel;
let skein: TestSkein;
let assistant: string;

beforeAll(async () => {
  model = await openHeldModel();
  skein = await startSkein({ OPENAI_BASE_URL: model.url });
  assistant = await createAssistant(skein, ['write']);
});

afterAll(async () => {
  await skein?.close();
  await model?.close();
});

/** Numbers that look random and are the same in every run of the tests. */
function* dice(seed: number): Generator<number, never> {
  for (let state = seed; ;) yield (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

type MessageDelta = Extract<ThreadEvent, { __typename: 'MessageDelta' }>;

/** A delta of one text without what stands before `held`. */
function cutTo(event: MessageDelta, held: number): MessageDelta {
  const [part] = event.content;
  if (event.content.length !== 1 || part?.__typename !== 'TextDelta') throw new Error('it is not one text');
  const value = part.value.slice(Math.max(0, held - part.offset));
  return { ...event, content: [{ ...part, offset: part.offset + part.value.length - value.length, value }] };
}

describe('while a message is written', () => {
  test('a snapshot and what follows it fold to what is stored, at whatever moment it is taken', async () => {
    const story = await tell(skein, assistant, 'Count.');
    const answer = await model.asked();
    const snapshots: Watch<ThreadEvent>[] = [];
    const runOnly: Watch<RunEvent>[] = [];
    const random = dice(20_261_123);
    let text = '';
    for (let i = 0; i < 40; i++) {
      const word = `${i} `;
      answer.say(word);
      text += word;
      // Sometimes what was said is committed when the snapshot is taken, sometimes it is on its way.
      if (random.next().value < 0.5) await story.live.until(({ state }) => state.messages.at(-1)?.text === text);
      if (random.next().value < 0.5) runOnly.push(watchRun(skein, story.runId));
      else snapshots.push(watchThread(skein, story.threadId));
    }
    answer.end();
    const told = await story.told();
    const end = told.at(-1)!.cursor;
    const store = visible(await stored(skein, story.threadId));
    /** What was told behind a snapshot. It may stand within deltas that came to the live reader as one. */
    const behind = (snapshot: RunEvent | ThreadEvent) => {
      const held = fold(emptyConversation(), snapshot).messages.find(({ runId }) => runId !== null)?.text.length ?? 0;
      const later = told.filter((event) => numberOf(event) > numberOf(snapshot));
      return joined(later).map((event) => (event.__typename === 'MessageDelta' ? cutTo(event, held) : event));
    };
    const own = store.messages.filter(({ runId }) => runId !== null);
    expect(snapshots.length).toBeGreaterThan(10);
    expect(runOnly.length).toBeGreaterThan(10);
    for (const watch of snapshots) {
      await watch.until(({ state }) => state.cursor === end);
      const [snapshot, ...rest] = watch.events;
      expect(snapshot!.__typename).toBe('ThreadSnapshot');
      expect(joined(rest)).toEqual(behind(snapshot!));
      expect(visible(watch.state)).toEqual(store);
      await watch.kill();
    }
    for (const watch of runOnly) {
      const [snapshot, ...rest] = await watch.ended;
      expect(snapshot!.__typename).toBe('RunSnapshot');
      expect(joined(rest)).toEqual(behind(snapshot!));
      expect(watch.state.runs).toEqual(store.runs);
      expect(watch.state.messages).toEqual(own);
    }
    await story.live.kill();
  });

  test('queries show what has been written so far, of text and of tool calls', async () => {
    const story = await tell(skein, assistant, 'Speak, then write.');
    const answer = await model.asked();
    const texts: string[] = [];
    let text = '';
    for (const word of ['I ', 'will ', 'write ', 'it ', 'down.']) {
      answer.say(word);
      text += word;
      await story.live.until(({ state }) => state.messages.at(-1)?.text === text);
      const { thread } = await skein.query(ConversationDocument, { threadId: story.threadId });
      const message = thread!.messages.nodes.at(-1)!;
      expect(message).toMatchObject({ status: 'IN_PROGRESS', completedAt: null });
      expect(message.content).toEqual([{ __typename: 'TextContent', value: message.text, annotations: [] }]);
      texts.push(message.text);
    }
    expect(texts).toEqual(['I ', 'I will ', 'I will write ', 'I will write it ', 'I will write it down.']);

    const parts = ['{"te', 'xt":', '"abc', '"}'];
    let written = '';
    answer.call(0, 'write', '');
    for (const part of parts) {
      answer.call(0, null, part);
      written += part;
      const callOf = (steps: readonly { details: object }[]) => {
        const details = steps.at(-1)?.details as { toolCalls?: { arguments: string }[] } | undefined;
        return details?.toolCalls?.[0];
      };
      await story.live.until(({ state }) => callOf(state.runs[0]!.steps)?.arguments === written);
      const conversation = conversationOf(await skein.query(RunDetailsDocument, { id: story.runId }))!;
      expect(callOf(conversation.runs[0]!.steps)).toMatchObject({
        name: 'write',
        arguments: written,
        status: 'IN_PROGRESS',
        output: null,
      });
      expect(conversation.messages.at(-1)).toMatchObject({ status: 'COMPLETED', text: 'I will write it down.' });
    }
    answer.end('length');
    await expectFaithful(skein, story);
    await story.live.kill();
  });
});

describe('deltas', () => {
  const said = async (say: (answer: Awaited<ReturnType<HeldModel['asked']>>) => void): Promise<string> => {
    const story = await tell(skein, assistant, 'Speak.');
    const answer = await model.asked();
    say(answer);
    answer.end();
    await expectFaithful(skein, story);
    await story.live.kill();
    return story.live.state.messages.at(-1)!.text;
  };

  test('of a model that says a thousand things at once are merged, and add up', async () => {
    const words = Array.from({ length: 1000 }, (_, i) => `word ${i} `);
    const story = await tell(skein, assistant, 'Fast.');
    const answer = await model.asked();
    answer.say(...words);
    answer.end();
    const events = await expectFaithful(skein, story);
    expect(story.live.state.messages.at(-1)!.text).toBe(words.join(''));
    expect(events.filter(({ __typename }) => __typename === 'MessageDelta').length).toBeLessThan(500);
    await story.live.kill();
  });

  test('are whole characters, where a model server cuts one in two', async () => {
    const [high, low] = '😀'.split('') as [string, string];
    const story = await tell(skein, assistant, 'Smile.');
    const answer = await model.asked();
    answer.say('a', high);
    await story.live.until(({ state }) => state.messages.at(-1)?.text === 'a');
    answer.say(low + 'b');
    await story.live.until(({ state }) => state.messages.at(-1)?.text === 'a😀b');
    answer.call(0, 'write', `"${high}`, `${low}"`);
    answer.end('length');
    const events = await expectFaithful(skein, story);
    for (const event of events) expect(JSON.stringify(event).isWellFormed()).toBe(true);
    expect(JSON.stringify(events)).not.toMatch(/\\ud[89a-f]/i);
    expect(JSON.stringify(story.live.state.runs)).toContain('😀');
    await story.live.kill();
  });

  test('hold halves of characters that never come together as the replacement character', async () => {
    expect(await said((answer) => answer.say('a\udc00b', '\ud800', 'c'))).toBe('a�b�c');
  });

  test('hold a NUL as the replacement character, which PostgreSQL can store', async () => {
    expect(await said((answer) => answer.say('a\0', '\0b'))).toBe('a��b');
    const story = await tell(skein, assistant, 'Write.');
    const answer = await model.asked();
    answer.call(0, 'write', '{"a\0', '\0b"}');
    answer.end('length');
    const events = await expectFaithful(skein, story);
    expect(JSON.stringify(events.at(-2))).toContain('a��b');
    await story.live.kill();
  });

  test('of text and refusal in one message are parts of their own', async () => {
    const story = await tell(skein, assistant, 'Both.');
    const answer = await model.asked();
    answer.say('Well, ', 'no: ');
    answer.refuse('I ', 'will not.');
    answer.say('Sorry.');
    answer.end();
    const events = await expectFaithful(skein, story);
    expect(events.at(-3)).toMatchObject({
      message: {
        text: 'Well, no: Sorry.',
        content: [{ value: 'Well, no: ' }, { __typename: 'RefusalContent', value: 'I will not.' }, { value: 'Sorry.' }],
      },
    });
    await story.live.kill();
  });
});
