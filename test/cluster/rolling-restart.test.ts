import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { live } from '../engine/stage.ts';
import { watchRun } from '../events/watch.ts';
import { delta, finish } from '../llm/model-server.ts';
import { CARRIERS, type Cluster, openCluster } from './cluster.ts';

for (const { skip, name, environment } of CARRIERS) {
  describe.skipIf(skip)(`a worker that is stopped while others go on, ${name}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await openCluster({ ROLE: 'api', ...environment }, { ROLE: 'worker', ...environment });
    });
    afterAll(() => cluster.close());

    test('hands its run back at once: another goes on with it within a second, and it counts as no attempt', async () => {
      const [api, first] = cluster.nodes;
      const cut = live();
      const again = live();
      cluster.scenes.push(cut.scene, again.scene);
      const { runId, cursor } = await cluster.start(api!);
      const watch = watchRun(api!, runId, { after: cursor });
      (await cut.asked).send(delta({ content: 'Half of ' }));
      await watch.until(({ state }) => state.messages.at(-1)?.text === 'Half of ');
      await cluster.join({ ROLE: 'worker', ...environment });
      const stopped = performance.now();
      const gone = first!.skein.close();
      const stream = await again.asked;
      const ms = performance.now() - stopped;
      console.log(`worker stopped → its run goes on elsewhere: ${ms.toFixed(0)} ms`);
      expect(ms).toBeLessThan(1000);
      stream.send(delta({ content: 'The whole' }), finish('stop'));
      stream.end();
      await gone;
      await watch.ended;
      const { run } = await api!.query(RunDetailsDocument, { id: runId });
      expect(run).toMatchObject({ status: 'COMPLETED', attempt: 1 });
      expect(run!.messages.nodes.map(({ text }) => text)).toEqual(['The whole']);
    });
  });
}
