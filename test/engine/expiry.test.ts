import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { delta } from '../llm/model-server.ts';
import { calls, live, openStage, says, type Stage, WEATHER } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ RUN_EXPIRES_AFTER_SECONDS: '2' });
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

describe('a run whose time is over', () => {
  test('in the middle of a message expires with what was said, and the model is let go of', async () => {
    const { scene, asked, gone } = live();
    stage.scenes.push(scene);
    const { runId, threadId } = await stage.start();
    (await asked).send(delta({ content: 'I could go on' }));
    const events = await stage.follow(runId);
    expect(await gone).toBe(true);
    expect(events.slice(-3).map(({ __typename }) => __typename)).toEqual([
      'MessageFinished',
      'RunStepFinished',
      'RunStatusChanged',
    ]);
    const run = await stage.details(runId);
    expect(run).toMatchObject({
      status: 'EXPIRED',
      expiresAt: null,
      completedAt: null,
      cancelledAt: null,
      failedAt: null,
      lastError: null,
    });
    expect(run.messages.nodes).toMatchObject([{ text: 'I could go on', incompleteDetails: { reason: 'RUN_EXPIRED' } }]);
    expect(run.steps.nodes).toMatchObject([{ status: 'EXPIRED' }]);
    expect(run.steps.nodes[0]!.expiredAt).not.toBeNull();
    expect((await stage.say(threadId, 'Free?')).userErrors).toEqual([]);
  });

  test('in the queue expires there, without a model call', async () => {
    const crowded = await openStage({ RUN_CONCURRENCY: '1' });
    try {
      const [before, after] = [live(), live()];
      crowded.scenes.push(before.scene, after.scene);
      const busy = await crowded.start();
      await before.asked;
      await crowded.app.restart({ RUN_EXPIRES_AFTER_SECONDS: '1' });
      await after.asked; // the one run that may be worked on, taken up again, with the time it was given
      const queued = await crowded.start();
      await crowded.follow(queued.runId);
      expect(await crowded.details(queued.runId)).toMatchObject({
        status: 'EXPIRED',
        startedAt: null,
        usage: { totalTokens: 0 },
      });
      expect(await crowded.details(busy.runId)).toMatchObject({ status: 'IN_PROGRESS', attempt: 1 });
      expect(crowded.model.requests).toHaveLength(2);
    } finally {
      await crowded.close();
    }
  });

  test('while it waits for tool outputs expires by itself, and takes none any more', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]));
    const { runId, threadId } = await stage.start({ tools: [WEATHER] });
    const { requiredAction, expiresAt, createdAt } = await stage.rest(runId);
    expect(Date.parse(expiresAt!) - Date.parse(createdAt)).toBe(2000);
    await stage.follow(runId);
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'EXPIRED', requiredAction: null, usage: { totalTokens: 5 } });
    expect(run.steps.nodes).toMatchObject([
      { status: 'EXPIRED', details: { toolCalls: [{ status: 'FAILED', output: null }] } },
    ]);
    const late = await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'sun' });
    expect(late).toMatchObject({
      run: null,
      userErrors: [
        {
          code: 'WRONG_RUN_STATUS',
          status: 'EXPIRED',
          message: 'Runs in status "EXPIRED" do not accept tool outputs.',
        },
      ],
    });
    expect((await stage.say(threadId, 'Free?')).userErrors).toEqual([]);
  });

  test('is not given more of it by an answer', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]), live().scene);
    const { runId } = await stage.start({ tools: [WEATHER] });
    const { requiredAction, expiresAt } = await stage.rest(runId);
    const { userErrors } = await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: 'sun' });
    expect(userErrors).toEqual([]);
    const events = await stage.follow(runId);
    const moments = events.flatMap((event) =>
      event.__typename === 'RunStatusChanged' ? [[event.status, event.run.expiresAt]] : [],
    );
    expect(moments.slice(1)).toEqual([
      ['REQUIRES_ACTION', expiresAt],
      ['QUEUED', expiresAt],
      ['IN_PROGRESS', expiresAt],
      ['EXPIRED', null],
    ]);
  });

  test('after its end is none of its concern', async () => {
    stage.scenes.push(says('Quick'));
    expect(await stage.perform()).toMatchObject({ status: 'COMPLETED', expiresAt: null });
  });
});
