import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openRows } from '../graph/rows.ts';
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

test('a claim passes over a run that the worker has in hand, though its lease is over', async () => {
  const small = await openStage({ LEASE_SECONDS: '60', HEARTBEAT_SECONDS: '20', RUN_CONCURRENCY: '2' });
  onTestFinished(() => small.close());
  const rows = await openRows(small.app);
  onTestFinished(() => rows.close());
  const [first, second, third] = [live(), live(), live()];
  small.scenes.push(first.scene, second.scene, third.scene);
  const { runId } = await small.start();
  const stream = await first.asked;
  stream.send(delta({ content: 'Half of it' }));
  await small.follow(runId, (event) => event.__typename === 'MessageDelta');
  await small.start();
  const other = await second.asked;
  // Both places are taken: the next one waits to be claimed, and the first would come before it.
  const { runId: last } = await small.start();
  const sql = `update run set lease_until = now() - interval '1 second' where id = $1 and owner is not null returning id`;
  expect(await rows.query(sql, [runId])).toHaveLength(1);
  other.send(delta({ content: 'Done' }), finish('stop'));
  other.end();
  const claimed = await third.asked;
  claimed.send(delta({ content: 'Claimed' }), finish('stop'));
  claimed.end();
  await small.follow(last);
  stream.send(delta({ content: ', and the rest' }), finish('stop'));
  stream.end();
  await small.follow(runId);
  const run = await small.details(runId);
  expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1 });
  expect(run.messages.nodes.map(({ text }) => text)).toEqual(['Half of it, and the rest']);
});
