import { expect } from 'vitest';
import { type Conversation, conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import {
  ConversationDocument,
  CreateAssistantDocument,
  CreateThreadDocument,
  RunDetailsDocument,
  StartRunDocument,
  type StartRunInput,
  type ToolInput,
} from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';
import { joined } from './joined.ts';
import { type RunEvent, type ThreadEvent, type Watch, watchRun, watchThread } from './watch.ts';

/** A run in a thread of its own, watched from before its beginning. */
export interface Story {
  threadId: string;
  runId: string;
  /** The cursor of the thread before anything was in it. */
  beginning: string;
  live: Watch<ThreadEvent>;
  /** Everything up to and with the run's last event, as it was delivered when it happened. */
  told(): Promise<readonly ThreadEvent[]>;
}

const FINAL = ['CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED'];

export async function createAssistant(skein: TestSkein, functions: string[] = []): Promise<string> {
  const tools = functions.map((name): ToolInput => ({ function: { name, parameters: { type: 'object' } } }));
  const { createAssistant } = await skein.query(CreateAssistantDocument, { input: { model: 'a-model', tools } });
  return createAssistant.assistant!.id;
}

export async function tell(
  skein: TestSkein,
  assistantId: string,
  said: string,
  input: Partial<StartRunInput> = {},
): Promise<Story> {
  const { createThread } = await skein.query(CreateThreadDocument, { input: {} });
  const { id: threadId, cursor: beginning } = createThread.thread!;
  const live = watchThread(skein, threadId, { after: beginning });
  const additionalMessages = [{ content: [{ text: said }] }];
  const { startRun } = await skein.query(StartRunDocument, {
    input: { ...input, assistantId, threadId, additionalMessages },
  });
  expect(startRun.userErrors).toEqual([]);
  const isOver = ({ events }: { events: readonly ThreadEvent[] }) => {
    const last = events.at(-1);
    return last?.__typename === 'RunStatusChanged' && FINAL.includes(last.status);
  };
  return {
    threadId,
    runId: startRun.run!.id,
    beginning,
    live,
    async told() {
      await live.until(isOver);
      return [...live.events];
    },
  };
}

/** Events of a run are those of its thread but for what callers did. */
export const ofRun = (events: readonly ThreadEvent[]): ThreadEvent[] =>
  events.filter((event) => !('message' in event && event.message.runId === null));

export const replayRun = (skein: TestSkein, runId: string, after: string): Promise<readonly RunEvent[]> =>
  watchRun(skein, runId, { after }).ended;

/** What stands between two cursors of a thread's log, the last one included. */
export async function replayThread(
  skein: TestSkein,
  threadId: string,
  after: string,
  last: string,
): Promise<ThreadEvent[]> {
  const watch = watchThread(skein, threadId, { after });
  await watch.until(({ events }) => events.at(-1)?.cursor === last);
  await watch.kill();
  return [...watch.events];
}

export const foldAll = (events: readonly (RunEvent | ThreadEvent)[], from = emptyConversation()): Conversation =>
  events.reduce(fold, from);

/** What can be seen of a conversation: not how it came to be. */
export const visible = ({ messages, runs, deleted }: Conversation) => ({ messages, runs, deleted });

/** What is stored of a thread, all of it in one moment. */
export async function stored(skein: TestSkein, threadId: string): Promise<Conversation> {
  const watch = watchThread(skein, threadId);
  await watch.until(({ events }) => events.length === 1);
  await watch.kill();
  expect(watch.events[0]!.__typename).toBe('ThreadSnapshot');
  return watch.state;
}

/** Everything that holds of every run that is over, whatever happened in it. Returns the run's events. */
export async function expectFaithful(skein: TestSkein, story: Story): Promise<ThreadEvent[]> {
  const { threadId, runId, beginning } = story;
  const told = await story.told();
  const end = told.at(-1)!.cursor;
  const places = told.map(({ cursor }) => Number(cursor.slice(cursor.lastIndexOf('.') + 1)));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(new Set(places).size).toBe(places.length);

  // The same again, to the letter, for those who come later.
  expect(joined(await replayThread(skein, threadId, beginning, end))).toEqual(joined(told));
  expect(joined(await replayRun(skein, runId, beginning))).toEqual(joined(ofRun(told)));
  expect(await replayRun(skein, runId, end)).toEqual([]);

  // Folding them gives what is stored, field by field, however often each of them comes.
  const folded = foldAll(told);
  expect(folded.cursor).toBe(end);
  const store = await stored(skein, threadId);
  expect(visible(folded)).toEqual(visible(store));
  expect(store.cursor).toBe(end);
  expect(visible(foldAll(told.flatMap((event) => [event, event])))).toEqual(visible(store));
  expect(visible(foldAll(told, folded))).toEqual(visible(store));
  const details = conversationOf(await skein.query(RunDetailsDocument, { id: runId }))!;
  expect(visible(details)).toEqual(visible(foldAll(ofRun(told))));
  const conversation = conversationOf(await skein.query(ConversationDocument, { threadId }))!;
  expect(conversation.messages).toEqual(store.messages);
  expect(conversation.cursor).toBe(end);

  // Its own object is as of the event, from Created, which is empty, to the end.
  for (const event of ofRun(told)) {
    if (event.__typename === 'MessageCreated')
      expect(event.message).toMatchObject({ status: 'IN_PROGRESS', content: [], text: '' });
    if (event.__typename === 'RunStepCreated') expect(event.step).toMatchObject({ status: 'IN_PROGRESS', usage: null });
    if (event.__typename === 'RunStatusChanged') {
      expect(event.run.status).toBe(event.status);
      expect(event.run.requiredAction === null).toBe(event.status !== 'REQUIRES_ACTION');
    }
  }
  return ofRun(told);
}
