import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { CancelRunDocument } from '../../src/generated/graphql/graphql.ts';
import { live, says } from '../engine/stage.ts';
import { foldAll, stored, visible } from '../events/story.ts';
import { watchRun, watchThread } from '../events/watch.ts';
import { delta, finish } from '../llm/model-server.ts';
import { CARRIERS, type Cluster, KEY, openCluster, openRedisWay, type RedisWay } from './cluster.ts';

const { skip } = CARRIERS[1];
const DRIVER = '{ viewer { wakeUps { driver detail } } }';

describe.skipIf(skip)('when Redis is gone (needs TEST_DATABASE_URL and TEST_REDIS_URL)', () => {
  let way: RedisWay;
  let cluster: Cluster;
  beforeAll(async () => {
    way = await openRedisWay();
    cluster = await openCluster({ ROLE: 'api', ...way.environment }, { ROLE: 'worker', ...way.environment });
  });
  afterAll(async () => {
    await cluster.close();
    await way.gate.close();
  });
  const api = () => cluster.nodes[0]!;
  const ready = async (node: { url: string }) => {
    const response = await fetch(`${node.url}/health/ready`);
    expect(response.status).toBe(200);
    return (await response.json()) as { status: string };
  };
  const wakeUps = async () =>
    (await api().query<{ viewer: { wakeUps: { driver: string; detail: string } } }, object>(DRIVER, {}, KEY)).viewer
      .wakeUps;

  async function expectDegraded(): Promise<void> {
    for (const node of cluster.nodes) {
      await eventually(async () =>
        expect(await ready(node)).toMatchObject({
          status: 'degraded',
          degraded: { wakeUps: expect.stringMatching(/connection is lost: \S.*polls stand in/) },
        }),
      );
    }
  }

  test('in the middle of an answer its reader on another node misses nothing', async () => {
    const script = live();
    cluster.scenes.push(script.scene);
    const { runId, threadId, cursor } = await cluster.start(api());
    const [run, thread] = [watchRun(api(), runId, { after: cursor }), watchThread(api(), threadId)];
    const stream = await script.asked;
    stream.send(delta({ content: 'Before. ' }));
    await run.until(({ state }) => state.messages.at(-1)?.text === 'Before. ');
    expect(await ready(api())).toMatchObject({ status: 'ok' });
    way.gate.shut();
    await expectDegraded();
    expect(await wakeUps()).toMatchObject({
      driver: 'redis',
      detail: expect.stringMatching(/do not pass now.*polls stand in/),
    });
    stream.send(delta({ content: 'Meanwhile. ' }));
    await run.until(({ state }) => state.messages.at(-1)?.text === 'Before. Meanwhile. '); // by the poll
    way.gate.open();
    for (const node of cluster.nodes)
      await eventually(async () => expect((await ready(node)).status).toBe('ok'));
    stream.send(delta({ content: 'After.' }), finish('stop'));
    stream.end();
    const events = await run.ended;
    const store = await stored(api(), threadId);
    expect(visible(foldAll(events)).messages.at(-1)!.text).toBe('Before. Meanwhile. After.');
    await thread.until(({ state }) => state.cursor === store.cursor);
    expect(visible(thread.state)).toEqual(visible(store));
    await thread.kill();
    expect((await wakeUps()).detail).not.toMatch(/not pass/);
  });

  test('runs are started, executed, followed and cancelled as ever, and nodes start without it', async () => {
    way.gate.shut();
    await expectDegraded();
    const late = await cluster.join({ ROLE: 'api', ...way.environment });
    cluster.scenes.push(says(['All', ' right']));
    const { runId, cursor } = await cluster.start(late);
    const events = await cluster.follow(api(), runId, cursor);
    expect(visible(foldAll(events)).messages.at(-1)!.text).toBe('All right');
    const script = live();
    cluster.scenes.push(script.scene);
    const next = await cluster.start(api());
    (await script.asked).send(delta({ content: 'Endless' }));
    await late.query(CancelRunDocument, { input: { runId: next.runId } }, KEY);
    expect((await cluster.follow(late, next.runId, next.cursor)).at(-1)).toMatchObject({ status: 'CANCELLED' });
    expect(await script.gone).toBe(true);
    way.gate.open();
    for (const node of cluster.nodes)
      await eventually(async () => expect((await ready(node)).status).toBe('ok'));
  });
});
