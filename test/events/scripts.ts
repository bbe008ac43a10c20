import { CancelRunDocument, SubmitToolOutputsDocument } from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';
import type { Answer, HeldModel } from './held-model.ts';
import { type Story, tell } from './story.ts';

/** What the runs of a test say and do, scene by scene: each part is told before the next one comes. */
export interface Scripts {
  /** Says one word after the other, each once the one before has been seen, so that none of them merge. */
  say(story: Story, answer: Answer, words: readonly string[], between?: () => void): Promise<void>;
  /** A run that waits for the outputs of two functions. */
  park(said: string): Promise<{ story: Story; submit(): Promise<unknown> }>;
  /** Runs that end in every way a thread can tell of, by what they are. */
  readonly runs: Readonly<Record<(typeof RUNS)[number], () => Promise<Story>>>;
}

export const WORDS = 'Lake Baikal is the deepest, and the clearest as well.'.split(/(?<= )/);

export const RUNS = ['a plain answer', 'two functions', 'a run that was cancelled', 'an incomplete answer'] as const;

/** `assistant` may call `get_temp` and `get_rain`. */
export function createScripts(skein: TestSkein, model: HeldModel, assistant: string): Scripts {
  async function say(
    { live }: Story,
    answer: Answer,
    words: readonly string[],
    between: () => void = () => {},
  ): Promise<void> {
    let text = '';
    for (const word of words) {
      answer.say(word);
      text += word;
      await live.until(({ state }) => state.messages.at(-1)?.text === text);
      between();
    }
  }

  async function park(said: string): Promise<{ story: Story; submit(): Promise<unknown> }> {
    const story = await tell(skein, assistant, said);
    const answer = await model.asked();
    for (const [index, name] of ['get_temp', 'get_rain'].entries()) {
      answer.call(index, name, '');
      for (const part of ['{"ci', 'ty":', '"Oslo"}']) {
        answer.call(index, null, part);
        await story.live.until(({ events }) =>
          JSON.stringify(events.slice(-1)).includes(JSON.stringify(part).slice(1, -1)),
        );
      }
    }
    answer.end('tool_calls');
    await story.live.until(({ state }) => state.runs.at(-1)?.status === 'REQUIRES_ACTION');
    const toolOutputs = story.live.state.runs
      .at(-1)!
      .requiredAction!.toolCalls.map(({ id, name }) => ({ toolCallId: id, output: name }));
    return {
      story,
      submit: () => skein.query(SubmitToolOutputsDocument, { input: { runId: story.runId, toolOutputs } }),
    };
  }

  const runs: Scripts['runs'] = {
    async 'a plain answer'() {
      const story = await tell(skein, assistant, 'Which lake is the deepest?');
      const answer = await model.asked();
      await say(story, answer, WORDS);
      answer.end();
      return story;
    },
    async 'two functions'() {
      const { story, submit } = await park('How is the weather?');
      await submit();
      const answer = await model.asked();
      await say(story, answer, ['Cold, ', 'and ', 'dry.']);
      answer.end();
      return story;
    },
    async 'a run that was cancelled'() {
      const story = await tell(skein, assistant, 'A story.');
      await say(story, await model.asked(), WORDS.slice(0, 5));
      await skein.query(CancelRunDocument, { input: { runId: story.runId } });
      return story;
    },
    async 'an incomplete answer'() {
      const story = await tell(skein, assistant, 'A novel.');
      const answer = await model.asked();
      await say(story, answer, WORDS.slice(0, 4));
      answer.end('length');
      return story;
    },
  };

  return { say, park, runs };
}
