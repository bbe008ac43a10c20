import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CancelRunDocument,
  CreateThreadDocument,
  DeleteThreadDocument,
  UpdateThreadDocument,
} from '../../src/generated/graphql/graphql.ts';
import { live } from '../engine/stage.ts';
import { delta, finish } from '../llm/model-server.ts';
import { type Hint, watchThreads } from '../threads/watch-threads.ts';
import { CARRIERS, type Cluster, KEY, median, openCluster, openRedisWay, type RedisWay } from './cluster.ts';

/** Polls are out of reach: whatever comes was told by the other node. */
const NO_NET = { POLL_SECONDS: '3600' };

const isIn =
  (threadId: string, status: string | null) =>
  (hint: Hint): boolean =>
    hint.threadId === threadId && hint.thread !== null && (hint.thread.activeRun?.status ?? null) === status;

for (const { skip, name, carrier, environment } of CARRIERS) {
  describe.skipIf(skip)(`a list that is followed on another node, ${name}`, () => {
    let cluster: Cluster;
    let admin: pg.Client;
    let way: RedisWay | null = null;
    beforeAll(async () => {
      way = carrier === 'redis' ? await openRedisWay() : null;
      cluster = await openCluster(
        { ROLE: 'api', ...NO_NET, ...environment },
        { ROLE: 'api', ...NO_NET, ...environment, ...way?.environment },
        { ROLE: 'worker', ...NO_NET, ...environment },
      );
      admin = new pg.Client({ connectionString: cluster.nodes[0]!.database.databaseUrl! });
      await admin.connect();
    });
    afterAll(async () => {
      await admin.end();
      await cluster.close();
      await way?.gate.close();
    });
    const follow = () => watchThreads(cluster.nodes[1]!, undefined, KEY);

    test('moves with what is done through this one', async () => {
      const [node] = cluster.nodes;
      const list = await follow();
      const took: number[] = [];
      const timed = async (work: () => Promise<unknown>, isIt: (hint: Hint) => boolean) => {
        const from = list.hints.length;
        const began = performance.now();
        await work();
        await list.until('it to be told', isIt, from);
        took.push(performance.now() - began);
      };
      for (let i = 0; i < 5; i++) {
        const title = `thread ${i}`;
        await timed(
          () => node!.query(CreateThreadDocument, { input: { title } }, KEY),
          ({ thread }) => thread?.title === title,
        );
        const { threadId } = list.hints.at(-1)!;
        const input = { threadId, title: `changed ${i}` };
        await timed(
          () => node!.query(UpdateThreadDocument, { input }, KEY),
          ({ thread }) => thread?.title === input.title,
        );
        await timed(
          () => node!.query(DeleteThreadDocument, { input: { threadId } }, KEY),
          (hint) => hint.threadId === threadId && hint.thread === null,
        );
      }
      console.log(`${carrier}: a change → its hint on another node: median ${median(took).toFixed(1)} ms`);
      await list.leave();
    });

    test('moves with what a worker does, and is not told of its every word', async () => {
      const list = await follow();
      const script = live();
      cluster.scenes.push(script.scene);
      const { runId, threadId, cursor } = await cluster.start(cluster.nodes[0]!);
      const stream = await script.asked;
      await list.until('the run to begin', isIn(threadId, 'IN_PROGRESS'));
      for (let i = 0; i < 200; i++) stream.send(delta({ content: `word${i} ` }));
      stream.send(finish('stop'));
      stream.end();
      await cluster.follow(cluster.nodes[0]!, runId, cursor);
      await list.until('the thread to be free', isIn(threadId, null));
      expect(list.hints.length).toBeLessThanOrEqual(5);

      const endless = live();
      cluster.scenes.push(endless.scene);
      const second = await cluster.start(cluster.nodes[0]!, { threadId });
      (await endless.asked).send(delta({ content: 'For ever' }));
      await list.until('the next run', isIn(threadId, 'IN_PROGRESS'), list.hints.length);
      await cluster.nodes[0]!.query(CancelRunDocument, { input: { runId: second.runId } }, KEY);
      await list.until('its end', isIn(threadId, null), list.hints.length);
      await list.leave();
    });

    test('breaks off with HINTS_LOST when wake-ups may have been lost, so that its reader reads it anew', async () => {
      const list = await follow();
      if (way) way.gate.cut();
      else
        await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'skein wake-ups' and datname = current_database()`,
        );
      expect(await list.broken).toEqual(['HINTS_LOST']);
      await list.leave();
      const again = await follow();
      const { createThread } = await cluster.nodes[0]!.query(CreateThreadDocument, { input: {} }, KEY);
      await again.until('what comes then', ({ threadId }) => threadId === createThread.thread!.id);
      await again.leave();
    });
  });
}
