import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { graphql } from '../../src/generated/tests/gql.ts';
import {
  ConversationDocument,
  DeleteMessageDocument,
  FollowRunDocument,
  StartRunDocument,
  UpdateThreadDocument,
} from '../../src/generated/graphql/graphql.ts';
import { calls, isFinal, live, openStage, says, type Stage, WEATHER } from '../engine/stage.ts';

const UpdateRun = graphql(`
  mutation UpdateRunMetadata($input: UpdateRunInput!) {
    updateRun(input: $input) {
      run {
        id
        metadata
        status
      }
      userErrors {
        code
      }
    }
  }
`);

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
});

async function messagesOf(threadId: string) {
  return (await stage.app.query(ConversationDocument, { threadId })).thread!.messages.nodes;
}

describe('a thread with an active run', () => {
  test('refuses messages, deletions and a second run, names the run, and stores nothing of what it refused', async () => {
    const { scene, asked } = live();
    stage.scenes.push(scene);
    const threadId = await stage.createThread('Hello');
    const [first] = await messagesOf(threadId);
    const { runId } = await stage.start({ threadId });
    await asked;
    const busy = [
      { __typename: 'ThreadBusyError', code: 'THREAD_BUSY', activeRun: { id: runId, status: 'IN_PROGRESS' } },
    ];
    const said = await stage.say(threadId, 'Wait');
    expect(said).toMatchObject({ message: null, userErrors: busy });
    expect(said.userErrors[0]!.message).toBe(`Can't add messages to ${threadId} while a run ${runId} is active.`);
    const assistantId = await stage.createAssistant();
    const input = { assistantId, threadId, additionalMessages: [{ content: [{ text: 'And this' }] }] };
    const { startRun } = await stage.app.query(StartRunDocument, { input });
    expect(startRun).toMatchObject({ run: null, userErrors: busy });
    expect(startRun.userErrors[0]!.message).toBe(`Thread ${threadId} already has an active run ${runId}.`);
    const { deleteMessage } = await stage.app.query(DeleteMessageDocument, { input: { messageId: first!.id } });
    expect(deleteMessage).toMatchObject({ deletedId: null, userErrors: [{ code: 'THREAD_BUSY' }] });
    expect((await messagesOf(threadId)).map(({ text }) => text)).toEqual(['Hello']);
    await stage.cancel(runId);
    await stage.follow(runId);
    expect(
      (await stage.app.query(DeleteMessageDocument, { input: { messageId: first!.id } })).deleteMessage.deletedId,
    ).toBe(first!.id);
  });

  test('stays taken while the run waits for tool outputs', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]));
    const { runId, threadId } = await stage.start({ tools: [WEATHER] });
    await stage.rest(runId);
    expect((await stage.say(threadId, 'Wait')).userErrors).toMatchObject([
      { code: 'THREAD_BUSY', activeRun: { status: 'REQUIRES_ACTION' } },
    ]);
    await stage.cancel(runId);
    expect((await stage.say(threadId, 'Now')).userErrors).toEqual([]);
  });

  test('takes a new title and its run new metadata, and both go on', async () => {
    const { scene, asked } = live();
    stage.scenes.push(scene);
    const { runId, threadId } = await stage.start();
    const stream = await asked;
    const { updateThread } = await stage.app.query(UpdateThreadDocument, {
      input: { threadId, title: 'Renamed', metadata: { a: 'b' } },
    });
    expect(updateThread).toMatchObject({ thread: { title: 'Renamed', metadata: { a: 'b' } }, userErrors: [] });
    const { updateRun } = await stage.app.query(UpdateRun, { input: { runId, metadata: { c: 'd' } } });
    expect(updateRun).toMatchObject({ run: { metadata: { c: 'd' }, status: 'IN_PROGRESS' }, userErrors: [] });
    stream.send({ choices: [{ index: 0, delta: { content: 'Done' }, finish_reason: 'stop' }] });
    stream.end();
    await stage.follow(runId);
    expect(await stage.details(runId)).toMatchObject({ status: 'COMPLETED', messages: { nodes: [{ text: 'Done' }] } });
    const again = await stage.app.query(UpdateRun, { input: { runId, metadata: {} } });
    expect(again.updateRun).toMatchObject({ run: { metadata: {}, status: 'COMPLETED' } });
  });

  test("is free when the run's last event is seen, every time", async () => {
    const threadId = await stage.createThread('Hello');
    const assistantId = await stage.createAssistant();
    for (let round = 0; round < 50; round++) {
      stage.scenes.push(says([`answer ${round}`]));
      const { runId, cursor } = await stage.start({ threadId, assistantId });
      let answered: ReturnType<Stage['say']> | null = null;
      for await (const { runEvents } of stage.app.follow(FollowRunDocument, { runId, after: cursor })) {
        if (runEvents.__typename === 'RunStatusChanged' && isFinal(runEvents.status))
          answered = stage.say(threadId, `message ${round}`);
      }
      expect((await answered!).userErrors).toEqual([]);
    }
  });

  test('takes one run of many that are started in the same moment', async () => {
    const { scene } = live();
    stage.scenes.push(scene);
    const threadId = await stage.createThread('Hello');
    const assistantId = await stage.createAssistant();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => stage.app.query(StartRunDocument, { input: { assistantId, threadId } })),
    );
    const started = answers.flatMap(({ startRun }) => startRun.run ?? []);
    expect(started).toHaveLength(1);
    for (const { startRun } of answers.filter(({ startRun }) => !startRun.run)) {
      expect(startRun.userErrors).toMatchObject([{ code: 'THREAD_BUSY', activeRun: { id: started[0]!.id } }]);
    }
    await stage.cancel(started[0]!.id);
    await stage.follow(started[0]!.id);
  });
});
