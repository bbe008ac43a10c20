import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ConversationDocument,
  FollowRunDocument,
  FollowThreadDocument,
  type FollowThreadSubscription,
  StartRunDocument,
  type StartRunInput,
} from '../../src/generated/graphql/graphql.ts';
import { type Conversation, conversationOf, emptyConversation, fold } from '../../src/client/fold.ts';
import { delta, type EventStream, finish } from '../llm/model-server.ts';
import { becomes, bodies, calls, isFinal, live, openStage, says, type Stage, WEATHER } from '../engine/stage.ts';

type ThreadEvent = FollowThreadSubscription['threadEvents'];

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

function answer(stream: EventStream, text: string): void {
  stream.send(delta({ content: text }), finish('stop'));
  stream.end();
}

const saying = (...texts: string[]) => texts.map((text) => ({ content: [{ text }] }));

/** Starts a run in a thread that may be busy, and hands out the payload as it is. */
async function enter(threadId: string, input: Partial<StartRunInput>) {
  const assistantId = await stage.createAssistant();
  return (await stage.app.query(StartRunDocument, { input: { assistantId, threadId, ...input } })).startRun;
}

async function enqueue(threadId: string, text: string, input: Partial<StartRunInput> = {}) {
  const { run, userErrors } = await enter(threadId, {
    ifBusy: 'ENQUEUE',
    additionalMessages: saying(text),
    ...input,
  });
  expect(userErrors).toEqual([]);
  return run!;
}

/** The events of a run behind the answer that told of it. */
async function followRun({ id, cursor }: { id: string; cursor: string }) {
  const events = [];
  for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId: id, after: cursor })) {
    events.push(runEvents);
  }
  return events;
}

async function threadTexts(threadId: string): Promise<string[]> {
  const { thread } = await stage.app.query(ConversationDocument, { threadId });
  return thread!.messages.nodes.map(({ text }) => text);
}

/** Follows a thread until the run ends, and says what folding shows in the end. */
async function followThread(threadId: string, after: string, lastRunId: string) {
  const events: ThreadEvent[] = [];
  let state: Conversation = { ...emptyConversation(), cursor: after };
  for await (const { threadEvents } of stage.app.follow(FollowThreadDocument, { threadId, after })) {
    events.push(threadEvents);
    state = fold(state, threadEvents);
    if (threadEvents.__typename === 'RunStatusChanged' && threadEvents.run.id === lastRunId) {
      if (isFinal(threadEvents.status)) break;
    }
  }
  return { events, state };
}

const statusesOf = (events: ThreadEvent[], runId: string): string[] =>
  events.flatMap((event) =>
    event.__typename === 'RunStatusChanged' && event.run.id === runId ? [event.status] : [],
  );

describe('ENQUEUE', () => {
  test('on a thread that is free starts at once', async () => {
    const threadId = await stage.createThread('Hello');
    const run = await enqueue(threadId, 'And?');
    expect(run.status).toBe('QUEUED');
    await stage.follow(run.id);
    expect(await threadTexts(threadId)).toEqual(['Hello', 'And?', 'Hi!']);
  });

  test('waits in line: its messages enter the thread with it, its time counts from then', async () => {
    const first = live();
    stage.scenes.push(first.scene, says('Second answer'), says('Third answer'));
    const { runId, threadId, cursor } = await stage.start();
    const stream = await first.asked;
    const second = await enqueue(threadId, 'second');
    const third = await enqueue(threadId, 'third');
    expect(second).toMatchObject({ status: 'QUEUED', startedAt: null, expiresAt: null });
    expect(await threadTexts(threadId)).toEqual(['Hello']);
    const { thread } = await stage.app.query(ConversationDocument, { threadId });
    expect(thread!.activeRun!.id).toBe(runId);

    answer(stream, 'First answer');
    const { events, state } = await followThread(threadId, cursor, third.id);
    expect(await threadTexts(threadId)).toEqual([
      'Hello',
      'First answer',
      'second',
      'Second answer',
      'third',
      'Third answer',
    ]);
    for (const id of [second.id, third.id]) {
      expect(statusesOf(events, id)).toEqual(['QUEUED', 'IN_PROGRESS', 'COMPLETED']);
    }
    const order = events.flatMap((event) => (event.__typename === 'RunStatusChanged' ? [event.run.id] : []));
    expect([...new Set(order)]).toEqual([runId, second.id, third.id]);
    const stored = conversationOf(await stage.app.query(ConversationDocument, { threadId }))!;
    expect(state.messages.map(({ text }) => text)).toEqual(stored.messages.slice(1).map(({ text }) => text));
    const details = await stage.details(second.id);
    expect(Date.parse(details.startedAt!)).toBeGreaterThanOrEqual(
      Date.parse((await stage.details(runId)).completedAt!),
    );
    expect(bodies(stage.model)[1]!.messages.map(({ content }: any) => content.at(-1).text ?? content)).toEqual([
      'Hello',
      'First answer',
      'second',
    ]);
  });

  test('keeps its settings and refuses what a run refuses, before it stands in line', async () => {
    const first = live();
    stage.scenes.push(first.scene);
    const { threadId } = await stage.start();
    const { run, userErrors } = await enter(threadId, {
      ifBusy: 'ENQUEUE',
      toolChoice: { functionName: 'nobody' },
    });
    expect(run).toBeNull();
    expect(userErrors[0]).toMatchObject({ code: 'INVALID_INPUT' });
    answer(await first.asked, 'done');
  });

  test('is cancelled out of the line at once, while its thread is held by a worker', async () => {
    const first = live();
    stage.scenes.push(first.scene, says('Third answer'));
    const { runId, threadId, cursor } = await stage.start();
    const stream = await first.asked;
    const second = await enqueue(threadId, 'second');
    const third = await enqueue(threadId, 'third');
    const follower = followRun(second);
    const { run, userErrors } = await stage.cancel(second.id);
    expect({ status: run!.status, userErrors }).toEqual({ status: 'CANCELLED', userErrors: [] });
    expect((await stage.cancel(second.id)).userErrors).toEqual([]);
    // Its reader is told by whoever holds the thread, long before that run ends.
    expect((await follower).at(-1)).toMatchObject({ status: 'CANCELLED' });
    expect((await stage.details(runId)).status).toBe('IN_PROGRESS');
    answer(stream, 'First answer');
    const { events, state } = await followThread(threadId, cursor, third.id);
    expect(statusesOf(events, second.id)).toEqual(['QUEUED', 'CANCELLING', 'CANCELLED']);
    expect(await threadTexts(threadId)).toEqual(['Hello', 'First answer', 'third', 'Third answer']);
    expect(state.runs.map(({ status }) => status).sort()).toEqual(['CANCELLED', 'COMPLETED', 'COMPLETED']);
    const late = await stage.details(second.id);
    expect(late).toMatchObject({ status: 'CANCELLED', startedAt: null });
    expect(late.cancelledAt).not.toBeNull();
  });

  test('is cancelled out of the line while the run before it waits for its caller', async () => {
    stage.scenes.push(calls([{ arguments: '{"city":"Rome"}' }]), says('Sun'), says('Third answer'));
    const { runId, threadId, cursor } = await stage.start({ tools: [WEATHER] });
    await stage.follow(runId, becomes('REQUIRES_ACTION'));
    const second = await enqueue(threadId, 'second');
    const third = await enqueue(threadId, 'third');
    expect((await stage.cancel(second.id)).run!.status).toBe('CANCELLED');
    const told = await stage.follow(second.id);
    expect(told.map((event) => (event as { status?: string }).status)).toEqual([undefined]);
    const { requiredAction } = await stage.details(runId);
    await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'sun' });
    const { events } = await followThread(threadId, cursor, third.id);
    expect(statusesOf(events, second.id)).toEqual(['QUEUED', 'CANCELLING', 'CANCELLED']);
    expect(await threadTexts(threadId)).toEqual(['Hello', 'Sun', 'third', 'Third answer']);
  });

  test('gets the thread when the run before it is cancelled, fails or expires without anybody executing it', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]), says('Second answer'));
    const { runId, threadId } = await stage.start({ tools: [WEATHER] });
    await stage.follow(runId, becomes('REQUIRES_ACTION'));
    const second = await enqueue(threadId, 'second');
    expect((await stage.cancel(runId)).run!.status).toBe('CANCELLED');
    await stage.follow(second.id);
    expect(await threadTexts(threadId)).toEqual(['Hello', 'second', 'Second answer']);
  });

  test('is refused with QUOTA_EXCEEDED when a hundred wait already, and nothing of it is stored', async () => {
    const first = live();
    stage.scenes.push(first.scene);
    const { runId, threadId } = await stage.start();
    const stream = await first.asked;
    const assistantId = await stage.createAssistant();
    const input = { assistantId, threadId, ifBusy: 'ENQUEUE' as const };
    const all = await Promise.all(
      Array.from({ length: 101 }, () => stage.app.query(StartRunDocument, { input })),
    );
    const refused = all.filter(({ startRun }) => startRun.run === null);
    expect(refused.map(({ startRun }) => startRun.userErrors[0]!.code)).toEqual(['QUOTA_EXCEEDED']);
    const last = all.flatMap(({ startRun }) => startRun.run?.id ?? []).sort().at(-1)!;
    answer(stream, 'go');
    // Everybody gets a turn, one after the other.
    await Promise.all(all.flatMap(({ startRun }) => (startRun.run ? stage.follow(startRun.run.id) : [])));
    expect((await stage.details(last)).status).toBe('COMPLETED');
    expect((await stage.details(runId)).status).toBe('COMPLETED');
    // One page of them.
    expect(await threadTexts(threadId)).toHaveLength(30);
    const { thread } = await stage.app.query(ConversationDocument, { threadId });
    expect(thread!.activeRun).toBeNull();
  }, 60_000);

  test('goes with its thread when that is deleted', async () => {
    const first = live();
    stage.scenes.push(first.scene);
    const { threadId } = await stage.start();
    await first.asked;
    const second = await enqueue(threadId, 'second');
    const reader = stage.app.follow(FollowRunDocument, { runId: second.id });
    expect((await reader.next()).value!.runEvents).toMatchObject({ run: { status: 'QUEUED' } });
    const deleted = await stage.app.raw(
      `mutation { deleteThread(input: { threadId: "${threadId}" }) { deletedId userErrors { message } } }`,
    );
    expect(deleted.data).toEqual({ deleteThread: { deletedId: threadId, userErrors: [] } });
    expect((await reader.next()).done).toBe(true);
    await expect(stage.details(second.id)).rejects.toThrow('no run');
    expect(await first.gone).toBe(true);
  });
});

describe('INTERRUPT', () => {
  test('cancels the run that is executed, keeps what it has said, and goes before those in line', async () => {
    const first = live();
    stage.scenes.push(first.scene, says('Urgent answer'), says('Patient answer'));
    const { runId, threadId, cursor } = await stage.start();
    (await first.asked).send(delta({ content: 'First half' }));
    await stage.follow(runId, (event) => event.__typename === 'MessageDelta');
    const patient = await enqueue(threadId, 'patient');
    const urgent = await enqueue(threadId, 'urgent', { ifBusy: 'INTERRUPT' });
    const { events } = await followThread(threadId, cursor, patient.id);
    expect(await first.gone).toBe(true);
    expect(await threadTexts(threadId)).toEqual([
      'Hello',
      'First half',
      'urgent',
      'Urgent answer',
      'patient',
      'Patient answer',
    ]);
    expect(statusesOf(events, runId).slice(-2)).toEqual(['CANCELLING', 'CANCELLED']);
    expect(statusesOf(events, urgent.id)).toEqual(['QUEUED', 'IN_PROGRESS', 'COMPLETED']);
    const { messages } = await stage.details(runId);
    expect(messages.nodes[0]).toMatchObject({
      status: 'INCOMPLETE',
      incompleteDetails: { reason: 'RUN_CANCELLED' },
    });
  });

  test('of a run that waits for its caller has the thread at once', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]), says('Urgent answer'));
    const { runId, threadId } = await stage.start({ tools: [WEATHER] });
    await stage.follow(runId, becomes('REQUIRES_ACTION'));
    const urgent = await enqueue(threadId, 'urgent', { ifBusy: 'INTERRUPT' });
    expect((await stage.details(runId)).status).toBe('CANCELLED');
    // It has begun before the answer was made, and the answer's cursor stands before all of it.
    const told = await followRun(urgent);
    const [first, second] = told.filter((event) => event.__typename === 'RunStatusChanged');
    expect([told[0], first?.status, second?.status]).toEqual([first, 'QUEUED', 'IN_PROGRESS']);
    expect(await threadTexts(threadId)).toEqual(['Hello', 'urgent', 'Urgent answer']);
  });

});
