import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { graphql } from '../../src/generated/tests/gql.ts';
import { DeleteThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { delta } from '../llm/model-server.ts';
import { becomes, callChunks, calls, live, openStage, refuses, says, type Stage, WEATHER } from './stage.ts';

const ThreadTail = graphql(`
  subscription ThreadTail($threadId: ID!, $after: String) {
    threadEvents(threadId: $threadId, after: $after) {
      __typename
    }
  }
`);

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ RUN_CONCURRENCY: '1' });
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

/** Milliseconds until the model server sees that nobody listens any more. */
async function untilCutOff(gone: Promise<boolean>): Promise<number> {
  const started = performance.now();
  expect(await gone).toBe(true);
  return performance.now() - started;
}

const statuses = (events: Awaited<ReturnType<Stage['follow']>>): string[] =>
  events.flatMap((event) => (event.__typename === 'RunStatusChanged' ? [event.status] : []));

describe('a cancelled run', () => {
  test('that is queued ends at once, while another goes on', async () => {
    const { scene, asked, gone } = live();
    stage.scenes.push(scene);
    const busy = await stage.start();
    await asked;
    const queued = await stage.start();
    expect((await stage.details(queued.runId)).status).toBe('QUEUED');
    expect(await stage.cancel(queued.runId)).toMatchObject({ run: { status: 'CANCELLED' }, userErrors: [] });
    const run = await stage.details(queued.runId);
    expect(run).toMatchObject({
      status: 'CANCELLED',
      startedAt: null,
      completedAt: null,
      expiresAt: null,
      usage: { totalTokens: 0 },
    });
    expect(run.cancelledAt).not.toBeNull();
    expect((await stage.say(queued.threadId, 'Free?')).userErrors).toEqual([]);
    expect((await stage.details(busy.runId)).status).toBe('IN_PROGRESS');
    await stage.cancel(busy.runId);
    await stage.follow(busy.runId);
    await gone;
  });

  test.each([[false], [true]])(
    'before the first word lets go of the model within a second (headers sent: %s)',
    async (speaks) => {
      const { scene, asked, gone } = live(speaks);
      stage.scenes.push(scene);
      const { runId } = await stage.start();
      await asked;
      expect((await stage.cancel(runId)).run!.status).toBe('CANCELLING');
      expect(await untilCutOff(gone)).toBeLessThan(1000);
      await stage.follow(runId);
      expect(await stage.details(runId)).toMatchObject({
        status: 'CANCELLED',
        steps: { nodes: [] },
        messages: { nodes: [] },
      });
    },
  );

  test('in the middle of a message keeps what was said', async () => {
    const { scene, asked, gone } = live();
    stage.scenes.push(scene);
    const { runId, threadId } = await stage.start();
    (await asked).send(delta({ content: 'So ' }), delta({ content: 'far' }));
    await stage.follow(runId, (event) => event.__typename === 'MessageDelta');
    const rest = stage.follow(runId);
    await stage.cancel(runId);
    expect(await untilCutOff(gone)).toBeLessThan(1000);
    expect(statuses(await rest).slice(-2)).toEqual(['CANCELLING', 'CANCELLED']);
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'CANCELLED', lastError: null, requiredAction: null });
    expect(run.messages.nodes).toMatchObject([
      { text: 'So far', status: 'INCOMPLETE', incompleteDetails: { reason: 'RUN_CANCELLED' } },
    ]);
    expect(run.steps.nodes).toMatchObject([{ status: 'CANCELLED', completedAt: null }]);
    expect(run.steps.nodes[0]!.cancelledAt).not.toBeNull();
    expect(run.usage!.totalTokens).toBeGreaterThan(0);
    expect((await stage.say(threadId, 'Next')).userErrors).toEqual([]);
  });

  test('in the middle of tool calls cancels the calls', async () => {
    const { scene, asked, gone } = live();
    stage.scenes.push(scene);
    const { runId } = await stage.start({ tools: [WEATHER] });
    (await asked).send(...callChunks([{ arguments: '{"ci' }]));
    await stage.follow(runId, (event) => event.__typename === 'RunStepDelta');
    await stage.cancel(runId);
    await gone;
    await stage.follow(runId);
    expect((await stage.details(runId)).steps.nodes).toMatchObject([
      { type: 'TOOL_CALLS', status: 'CANCELLED', details: { toolCalls: [{ status: 'CANCELLED', arguments: '{"ci' }] } },
    ]);
  });

  test('while it waits to ask the model again does not wait any longer', async () => {
    stage.scenes.push(refuses(429, { message: 'later' }, { 'retry-after': '30' }));
    const { runId } = await stage.start();
    await stage.follow(runId, becomes('IN_PROGRESS'));
    await eventually(() => expect(stage.model.requests).toHaveLength(1));
    const started = performance.now();
    await stage.cancel(runId);
    await stage.follow(runId);
    expect(performance.now() - started).toBeLessThan(1000);
    expect((await stage.details(runId)).status).toBe('CANCELLED');
    expect(stage.model.requests).toHaveLength(1);
  });

  test('that waits for tool outputs ends at once, and its calls with it', async () => {
    stage.scenes.push(calls([{ arguments: '{}' }]));
    const { runId } = await stage.start({ tools: [WEATHER] });
    const waiting = await stage.rest(runId);
    expect(await stage.cancel(runId)).toMatchObject({ run: { status: 'CANCELLED' }, userErrors: [] });
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'CANCELLED', requiredAction: null, usage: { totalTokens: 5 } });
    expect(run.steps.nodes).toMatchObject([
      { status: 'CANCELLED', details: { toolCalls: [{ status: 'CANCELLED', output: null }] } },
    ]);
    const late = await stage.submit(runId, { [waiting.requiredAction!.toolCalls[0]!.id]: 'sun' });
    expect(late).toMatchObject({ run: null, userErrors: [{ code: 'WRONG_RUN_STATUS', status: 'CANCELLED' }] });
  });

  test('may be cancelled again, while it is stopping and when it has stopped', async () => {
    const { scene, asked } = live();
    stage.scenes.push(scene);
    const { runId } = await stage.start();
    await asked;
    const answers = await Promise.all([stage.cancel(runId), stage.cancel(runId), stage.cancel(runId)]);
    for (const { run, userErrors } of answers) {
      expect(userErrors).toEqual([]);
      expect(['CANCELLING', 'CANCELLED']).toContain(run!.status);
    }
    await stage.follow(runId);
    expect(await stage.cancel(runId)).toMatchObject({ run: { status: 'CANCELLED' }, userErrors: [] });
  });

  test('that has ended otherwise stays as it is', async () => {
    const { id } = await stage.perform();
    expect(await stage.cancel(id)).toMatchObject({
      run: null,
      userErrors: [
        { code: 'WRONG_RUN_STATUS', status: 'COMPLETED', message: "Cannot cancel run with status 'COMPLETED'." },
      ],
    });
  });

  test('comes to one end whenever it is cancelled, and its thread is free then', async () => {
    for (let round = 0; round < 25; round++) {
      stage.scenes.push(round % 2 ? says(['a', 'b', 'c', 'd']) : calls([{ arguments: '{}' }]));
      const { runId, threadId } = await stage.start({ tools: [WEATHER] });
      const wanted = stage.follow(runId, becomes(round % 2 ? 'COMPLETED' : 'REQUIRES_ACTION', 'CANCELLED'));
      if (round % 5)
        await stage.follow(
          runId,
          (event) =>
            event.__typename === (round % 3 ? 'RunStepCreated' : 'RunStepFinished') ||
            becomes('REQUIRES_ACTION')(event),
        );
      const { run, userErrors } = await stage.cancel(runId);
      if (!run) expect(userErrors).toMatchObject([{ code: 'WRONG_RUN_STATUS', status: 'COMPLETED' }]);
      await stage.follow(runId);
      await wanted;
      expect(['CANCELLED', 'COMPLETED']).toContain((await stage.details(runId)).status);
      expect((await stage.say(threadId, 'Free?')).userErrors).toEqual([]);
      stage.scenes.length = 0;
    }
  });
});

describe('a deleted thread', () => {
  test('takes its active run with it, and the model is let go of within a second', async () => {
    const { scene, asked, gone } = live();
    stage.scenes.push(scene);
    const { runId, threadId } = await stage.start();
    (await asked).send(delta({ content: 'So far' }));
    await stage.follow(runId, (event) => event.__typename === 'MessageDelta');
    await stage.app.query(DeleteThreadDocument, { input: { threadId } });
    expect(await untilCutOff(gone)).toBeLessThan(1000);
    await expect(stage.details(runId)).rejects.toThrow('no run');
    await eventually(() => expect(stage.app.skein.counts().activeRuns).toBe(0));
  });

  test('tells its followers so, however fast its run is writing', async () => {
    for (let round = 0; round < 15; round++) {
      const { scene, asked, gone } = live();
      stage.scenes.push(scene);
      const { threadId, cursor } = await stage.start();
      const stream = await asked;
      let seen = 0;
      const last: string[] = [];
      let writing = true;
      const write = () => {
        if (!writing) return;
        stream.send(delta({ content: `${'x'.repeat(20)} ` }));
        setTimeout(write, 1);
      };
      write();
      let deleted: Promise<unknown> | null = null;
      for await (const { threadEvents } of stage.app.follow(ThreadTail, { threadId, after: cursor })) {
        last.push(threadEvents.__typename);
        if (threadEvents.__typename === 'MessageDelta' && ++seen === 3 + round) {
          deleted = stage.app.query(DeleteThreadDocument, { input: { threadId } });
        }
      }
      await deleted;
      expect(last.at(-1)).toBe('ThreadDeleted');
      await gone;
      writing = false;
    }
  });
});
