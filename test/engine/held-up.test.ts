import { afterAll, beforeAll, expect, test } from 'vitest';
import { delta, finish } from '../llm/model-server.ts';
import { live, openStage, type Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage({ LEASE_SECONDS: '2', HEARTBEAT_SECONDS: '1' });
});
afterAll(() => stage.close());

/** What a machine does to a process that has too much to do: none of its timers runs, and its leases run out. */
function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('a worker that was held up for longer than its lease goes on with what nobody has taken from it', async () => {
  const { scene, asked } = live();
  stage.scenes.push(scene);
  const { runId } = await stage.start();
  const stream = await asked;
  stream.send(delta({ content: 'Half of it' }));
  await stage.follow(runId, (event) => event.__typename === 'MessageDelta');
  holdUp(5000);
  const rest = stage.follow(runId);
  stream.send(delta({ content: ', and the rest' }), finish('stop'));
  stream.end();
  await rest;
  const run = await stage.details(runId);
  expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  expect(run.messages.nodes.map(({ text }) => text)).toEqual(['Half of it, and the rest']);
  expect(stage.model.requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
});
