import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { CreateMessageDocument, CreateThreadDocument } from '../../src/generated/graphql/graphql.ts';
import { watchThread, type ThreadEvent, type Watch } from '../events/watch.ts';
import { CARRIERS, type Cluster, openCluster } from './cluster.ts';

/** Reads of the log that went through the driver: those of tails, which name many threads. */
let reads: number | null = null;
const original = pg.Client.prototype.query;
pg.Client.prototype.query = function count(this: pg.Client, ...args: unknown[]): unknown {
  const [config] = args as [string | { text?: string }];
  const text = typeof config === 'string' ? config : config?.text;
  if (reads !== null && /^select[^]*unnest\(\$1::text\[\][^]*from event/.test(String(text))) reads += 1;
  return (original as (...args: unknown[]) => unknown).apply(this, args);
} as never;

const NO_NET = { POLL_SECONDS: '3600' };
const THREADS = 10;
const EACH = 5;

for (const { skip, name, carrier, environment } of CARRIERS) {
  describe.skipIf(skip)(`the tail of a node with ${THREADS * EACH} followers, ${name}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await openCluster(
        { ROLE: 'api', ...NO_NET, ...environment },
        { ROLE: 'api', ...NO_NET, ...environment },
      );
    });
    afterAll(() => cluster.close());

    test('reads for all of them together, once for what another node has written', async () => {
      const [writer, reader] = [cluster.nodes[0]!, cluster.nodes[1]!];
      const threads: string[] = [];
      for (let i = 0; i < THREADS; i++) {
        const { createThread } = await writer.query(CreateThreadDocument, { input: {} });
        threads.push(createThread.thread!.id);
      }
      const watches: Watch<ThreadEvent>[] = threads.flatMap((id) =>
        Array.from({ length: EACH }, () => watchThread(reader, id)),
      );
      for (const watch of watches) await watch.until(({ events }) => events.length === 1);
      await eventually(() => expect(reader.skein.counts().followers).toBe(THREADS * EACH));
      const say = (threadId: string, text: string) =>
        writer.query(CreateMessageDocument, { input: { threadId, content: [{ text }] } });
      const heard = async (text: string) => {
        for (const watch of watches) await watch.until(({ state }) => state.messages.at(-1)?.text === text);
      };
      await Promise.all(threads.map((id) => say(id, 'warm')));
      await heard('warm');
      reads = 0;
      await Promise.all(threads.map((id) => say(id, 'all at once')));
      await heard('all at once');
      const counted = reads;
      reads = null;
      // Carried events need no reading; hints come together or one by one, but never once for each follower.
      const most = carrier === 'redis' ? 0 : THREADS;
      console.log(`${THREADS} events for ${THREADS * EACH} followers ${name}: ${counted} read(s) of the log`);
      expect(counted).toBeLessThanOrEqual(most);
      for (const watch of watches) {
        expect(watch.events.filter(({ __typename }) => __typename === 'MessageCreated')).toHaveLength(2);
        await watch.kill();
      }
    });
  });
}
