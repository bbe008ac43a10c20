import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateMessageDocument, RunDetailsDocument } from '../../src/generated/graphql/graphql.ts';
import { becomes, calls, WEATHER } from '../engine/stage.ts';
import { watchRun } from '../events/watch.ts';
import { CARRIERS, type Cluster, openCluster } from './cluster.ts';

const { skip, name, environment } = CARRIERS[0];
const SHORT = { RUN_EXPIRES_AFTER_SECONDS: '10' };

describe.skipIf(skip)(`a run whose time is over while no worker lives, ${name}`, () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await openCluster({ ROLE: 'api', ...SHORT, ...environment }, { ROLE: 'worker', ...environment });
  });
  afterAll(() => cluster.close());

  test('expires all the same, whether it waits for its caller or for a worker, and its thread is free', async () => {
    const [api, worker] = cluster.nodes;
    cluster.scenes.push(calls([{ arguments: '{}' }]));
    const asks = await cluster.start(api!, { tools: [WEATHER] });
    const watch = watchRun(api!, asks.runId, { after: asks.cursor });
    await watch.until(({ events }) => events.some(becomes('REQUIRES_ACTION')));
    await worker!.skein.close();
    const queued = await cluster.start(api!);
    const behind = await cluster.start(api!, { threadId: queued.threadId, ifBusy: 'ENQUEUE' });
    for (const { runId } of [asks, queued, behind]) {
      const events = await cluster.follow(api!, runId);
      expect(events.at(-1)).toMatchObject(events.length === 1 ? { run: { status: 'EXPIRED' } } : { status: 'EXPIRED' });
      const { run } = await api!.query(RunDetailsDocument, { id: runId });
      expect(run).toMatchObject({ status: 'EXPIRED', requiredAction: null });
    }
    for (const { threadId } of [asks, queued]) {
      const input = { threadId, content: [{ text: 'Free?' }] };
      expect((await api!.query(CreateMessageDocument, { input })).createMessage.userErrors).toEqual([]);
    }
  });
});
