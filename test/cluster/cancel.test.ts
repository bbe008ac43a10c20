import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CancelRunDocument, RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { becomes, live, refuses } from '../engine/stage.ts';
import { watchRun } from '../events/watch.ts';
import { delta } from '../llm/model-server.ts';
import { waitFor } from '../server/wait-for.ts';
import { CARRIERS, type Cluster, openCluster } from './cluster.ts';

/** What would find out as well is out of reach: what is seen here comes by wake-ups. A busy machine takes its time. */
const NO_NET = { LEASE_SECONDS: '240', HEARTBEAT_SECONDS: '120', POLL_SECONDS: '3600' };
const SOON_MS = 5000;

for (const { skip, name, environment } of CARRIERS) {
  describe.skipIf(skip)(`cancelRun on another node than the one that executes, ${name}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await openCluster(
        { ROLE: 'api', ...NO_NET, ...environment },
        { ROLE: 'worker', ...NO_NET, ...environment },
      );
    });
    afterAll(() => cluster.close());
    const api = () => cluster.nodes[0]!;
    const cancel = async (runId: string) => {
      const { cancelRun } = await api().query(CancelRunDocument, { input: { runId } });
      expect(cancelRun.userErrors).toEqual([]);
    };

    test.each([
      ['while the model speaks', true],
      ['before the model has said a word', false],
    ])('cuts the model off %s', async (_when, speaks) => {
      const script = live(speaks);
      cluster.scenes.push(script.scene);
      const { runId, cursor } = await cluster.start(api());
      const watch = watchRun(api(), runId, { after: cursor });
      const stream = await script.asked;
      if (speaks) {
        stream.send(delta({ content: 'Once upon a time' }));
        await watch.until(({ state }) => state.messages.at(-1)?.text === 'Once upon a time');
      }
      const asked = performance.now();
      await cancel(runId);
      expect(await script.gone).toBe(true);
      const ms = performance.now() - asked;
      console.log(`cancel → model cut off on another node: ${ms.toFixed(0)} ms`);
      expect(ms).toBeLessThan(SOON_MS);
      const events = await watch.ended;
      expect(events.at(-1)).toMatchObject({ __typename: 'RunStatusChanged', status: 'CANCELLED' });
      expect(performance.now() - asked).toBeLessThan(SOON_MS);
    });

    test('ends a run that waits before it tries the model again', async () => {
      const before = cluster.model.requests.length;
      cluster.scenes.push(refuses(429, { message: 'slow down' }, { 'retry-after': '30' }));
      const { runId, cursor } = await cluster.start(api());
      const watch = watchRun(api(), runId, { after: cursor });
      await watch.until(({ events }) => events.some(becomes('IN_PROGRESS')));
      await waitFor('the model to refuse', () => cluster.model.requests.length > before);
      const asked = performance.now();
      await cancel(runId);
      await watch.ended;
      const ms = performance.now() - asked;
      console.log(`cancel → CANCELLED, in a back-off on another node: ${ms.toFixed(0)} ms`);
      expect(ms).toBeLessThan(SOON_MS);
      const { run } = await api().query(RunDetailsDocument, { id: runId });
      expect(run!.status).toBe('CANCELLED');
      expect(cluster.model.requests.length).toBe(before + 1);
    });
  });
}
