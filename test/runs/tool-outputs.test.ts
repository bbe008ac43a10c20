import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SubmitToolOutputsDocument } from '../../src/generated/graphql/graphql.ts';
import { bodies, calls, openStage, says, type Stage, WEATHER } from '../engine/stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.scenes.length = 0;
  stage.model.requests.length = 0;
});

/** A run that has called two functions. */
async function waiting(): Promise<{ runId: string; a: string; b: string }> {
  stage.scenes.push(calls([{ arguments: '{"city":"Rome"}' }, { arguments: '{"city":"Oslo"}' }]), says('Done'));
  const { runId } = await stage.start({ tools: [WEATHER] });
  const { requiredAction, status } = await stage.rest(runId);
  expect(status).toBe('REQUIRES_ACTION');
  const [a, b] = requiredAction!.toolCalls.map(({ id }) => id);
  return { runId, a: a!, b: b! };
}

describe('tool outputs', () => {
  test('are taken all at once, in any order, and the run goes on', async () => {
    const { runId, a, b } = await waiting();
    const before = await stage.details(runId);
    expect(before.steps.nodes).toMatchObject([
      { type: 'TOOL_CALLS', status: 'IN_PROGRESS', details: { toolCalls: [{ output: null }, { output: null }] } },
    ]);
    const { run: resumed, userErrors } = await stage.submit(runId, { [b]: 'snow', [a]: 'sun' });
    expect(userErrors).toEqual([]);
    expect(['QUEUED', 'IN_PROGRESS', 'COMPLETED']).toContain(resumed!.status); // a worker may be quick
    await stage.follow(runId);
    const run = await stage.details(runId);
    expect(run).toMatchObject({ status: 'COMPLETED', requiredAction: null, attempt: 1, expiresAt: null });
    expect(run.steps.nodes[0]).toMatchObject({
      status: 'COMPLETED',
      details: {
        toolCalls: [
          { id: a, status: 'COMPLETED', output: 'sun' },
          { id: b, status: 'COMPLETED', output: 'snow' },
        ],
      },
    });
    expect(run.steps.nodes[0]!.completedAt).not.toBeNull();
  });

  test('that are incomplete, unknown or double change nothing', async () => {
    const { runId, a, b } = await waiting();
    const submit = async (toolOutputs: { toolCallId: string; output: string }[]) =>
      (await stage.app.query(SubmitToolOutputsDocument, { input: { runId, toolOutputs } })).submitToolOutputs;
    const missing = await submit([{ toolCallId: a, output: 'x' }]);
    expect(missing).toMatchObject({
      run: null,
      userErrors: [{ code: 'INVALID_INPUT', path: ['input', 'toolOutputs'] }],
    });
    expect(missing.userErrors[0]!.message).toBe(`Expected tool outputs for call_ids ['${a}', '${b}'], got ['${a}']`);
    for (const ids of [[], [a, a], [a, b, 'call_none'], [a, 'call_none'], [a, b, b]]) {
      const { run, userErrors } = await submit(ids.map((toolCallId) => ({ toolCallId, output: 'x' })));
      expect(run).toBeNull();
      expect(userErrors).toMatchObject([{ code: 'INVALID_INPUT' }]);
    }
    const run = await stage.details(runId);
    expect(run).toMatchObject({
      status: 'REQUIRES_ACTION',
      steps: { nodes: [{ details: { toolCalls: [{ output: null }, { output: null }] } }] },
    });
    expect(run.requiredAction!.toolCalls).toHaveLength(2);
    expect(stage.model.requests).toHaveLength(1);
    await stage.cancel(runId);
  });

  test('are less than 512 kB in all, counted in bytes', async () => {
    const { runId, a, b } = await waiting();
    const limit = 512 * 1024;
    for (const [one, two] of [
      ['x'.repeat(limit), ''],
      ['x'.repeat(limit / 2), 'é'.repeat(limit / 4)],
    ] as const) {
      const { userErrors } = await stage.submit(runId, { [a]: one, [b]: two });
      expect(userErrors).toMatchObject([
        {
          code: 'INVALID_INPUT',
          message: "'tool_outputs' too large: the combined tool outputs must be less than 512kb.",
        },
      ]);
    }
    expect((await stage.submit(runId, { [a]: 'x'.repeat(limit - 1), [b]: '' })).userErrors).toEqual([]);
    await stage.follow(runId);
    expect(bodies(stage.model)[1]!.messages[2].content).toHaveLength(limit - 1);
  });

  test('may be submitted again as they are, and not in another form', async () => {
    const { runId, a, b } = await waiting();
    const outputs = { [a]: 'sun', [b]: 'snow' };
    const both = await Promise.all([stage.submit(runId, outputs), stage.submit(runId, outputs)]);
    for (const { userErrors } of both) expect(userErrors).toEqual([]);
    await stage.follow(runId);
    expect(await stage.submit(runId, outputs)).toMatchObject({ run: { status: 'COMPLETED' }, userErrors: [] });
    expect(await stage.submit(runId, { ...outputs, [b]: 'rain' })).toMatchObject({
      run: null,
      userErrors: [
        {
          code: 'WRONG_RUN_STATUS',
          status: 'COMPLETED',
          message: 'Runs in status "COMPLETED" do not accept tool outputs.',
        },
      ],
    });
    expect(stage.model.requests).toHaveLength(2);
  });

  test('go to a run of this project only', async () => {
    expect(await stage.submit('run_00000000000000000000000000', { call_x: 'x' })).toMatchObject({
      run: null,
      userErrors: [{ code: 'NOT_FOUND' }],
    });
  });

  test('of several turns stay in the prompt, turn by turn', async () => {
    stage.scenes.push(
      calls([{ id: 'one', arguments: '{"n":1}' }]),
      calls([{ id: 'two', arguments: '{"n":2}' }]),
      says('Both'),
    );
    const { runId } = await stage.start({ tools: [WEATHER] });
    for (const output of ['first', 'second']) {
      const { requiredAction } = await stage.rest(runId);
      await stage.submit(runId, { [requiredAction!.toolCalls[0]!.id]: output });
    }
    await stage.follow(runId);
    expect(
      bodies(stage.model)[2]!
        .messages.slice(1)
        .map(({ role, content, tool_call_id: id }: Record<string, unknown>) => [role, id ?? content]),
    ).toEqual([
      ['assistant', null],
      ['tool', 'one'],
      ['assistant', null],
      ['tool', 'two'],
    ]);
  });
});
