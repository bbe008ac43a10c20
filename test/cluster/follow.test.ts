import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CreateMessageDocument } from '../../src/generated/graphql/graphql.ts';
import { live, says } from '../engine/stage.ts';
import { joined } from '../events/joined.ts';
import { foldAll, replayRun, replayThread, stored, visible } from '../events/story.ts';
import { watchRun, watchThread } from '../events/watch.ts';
import { delta, finish } from '../llm/model-server.ts';
import { CARRIERS, type Cluster, median, openCluster } from './cluster.ts';

/** Polls are out of reach: whatever comes was told by the other node. A busy machine takes its time. */
const NO_NET = { POLL_SECONDS: '3600' };
const SOON_MS = 2000;

for (const { skip, name, environment } of CARRIERS) {
  describe.skipIf(skip)(`a reader on another node, ${name}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await openCluster(
        { ROLE: 'api', ...NO_NET, ...environment },
        { ROLE: 'worker', ...NO_NET, ...environment },
      );
    });
    afterAll(() => cluster.close());
    const api = () => cluster.nodes[0]!;

    test('gets every word as it is committed, by word of mouth', async () => {
      const script = live();
      cluster.scenes.push(script.scene);
      const { runId, cursor } = await cluster.start(api());
      const watch = watchRun(api(), runId, { after: cursor });
      const stream = await script.asked;
      const took: number[] = [];
      let text = '';
      for (let i = 0; i < 40; i++) {
        text += `word${i} `;
        const said = performance.now();
        stream.send(delta({ content: `word${i} ` }));
        await watch.until(({ state }) => state.messages.at(-1)?.text === text);
        took.push(performance.now() - said);
      }
      stream.send(finish('stop'));
      stream.end();
      await watch.ended;
      const sorted = took.toSorted((a, b) => a - b);
      console.log(
        `model → reader on another node: median ${median(took).toFixed(1)} ms, 95 % ${sorted[37]!.toFixed(1)} ms`,
      );
      expect(median(took)).toBeLessThan(SOON_MS);
    });

    test('sees a run begin that another node executes, by word of mouth', async () => {
      const took: number[] = [];
      for (let i = 0; i < 10; i++) {
        cluster.scenes.push(says(['Hi', '!']));
        const started = performance.now();
        const { runId, cursor } = await cluster.start(api());
        await cluster.follow(api(), runId, cursor);
        took.push(performance.now() - started);
      }
      console.log(`start → end, executed by another node: median ${median(took).toFixed(1)} ms`);
      expect(median(took)).toBeLessThan(SOON_MS);
    });

    test('gets everything once, in order, and it folds to what is stored', async () => {
      const words = Array.from({ length: 500 }, (_, i) => `${i} `);
      cluster.scenes.push(says(words), says('Sure.'));
      const { runId, threadId, cursor } = await cluster.start(api());
      const [run, thread, late] = [
        watchRun(api(), runId, { after: cursor }),
        watchThread(api(), threadId, { after: cursor }),
        watchThread(api(), threadId),
      ];
      const ofOne = await run.ended;
      const { createMessage } = await api().query(CreateMessageDocument, {
        input: { threadId, content: [{ text: 'And now?' }] },
      });
      expect(createMessage.userErrors).toEqual([]);
      const second = await cluster.start(api(), { threadId });
      await cluster.follow(api(), second.runId, second.cursor);
      const store = await stored(api(), threadId);
      for (const watch of [thread, late]) {
        await watch.until(({ state }) => state.cursor === store.cursor);
        await watch.kill();
      }
      const places = thread.events.map(({ cursor }) => Number(cursor.slice(cursor.lastIndexOf('.') + 1)));
      expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b));
      expect(visible(foldAll(ofOne)).messages.at(-1)!.text).toBe(words.join(''));
      expect(visible(late.state)).toEqual(visible(store));
      const replayed = joined(await replayThread(api(), threadId, cursor, store.cursor!));
      expect(joined(thread.events)).toEqual(replayed);
      expect(joined(ofOne)).toEqual(joined(await replayRun(api(), runId, cursor)));
    });
  });

  describe.skipIf(skip)(`two nodes that do both, ${name}`, () => {
    let cluster: Cluster;
    beforeAll(async () => {
      cluster = await openCluster({ ...NO_NET, ...environment }, { ...NO_NET, ...environment });
    });
    afterAll(() => cluster.close());

    test('tell each other what callers say, and what their runs do', async () => {
      const [a, b] = [cluster.nodes[0]!, cluster.nodes[1]!];
      const { runId, threadId, cursor } = await cluster.start(a);
      const watches = [watchThread(a, threadId, { after: cursor }), watchThread(b, threadId, { after: cursor })];
      await cluster.follow(b, runId, cursor);
      // The last is too large to be carried: the others are told of it, and read it.
      for (const [i, node] of [b, a, b, a].entries()) {
        const { createMessage } = await node.query(CreateMessageDocument, {
          input: { threadId, content: [{ text: i < 3 ? `number ${i}` : 'large '.repeat(30_000) }] },
        });
        const { id } = createMessage.message!;
        for (const watch of watches) {
          await watch.until(({ events }) =>
            events.some((event) => event.__typename === 'MessageFinished' && event.message.id === id),
          );
        }
      }
      expect(joined(watches[0]!.events)).toEqual(joined(watches[1]!.events));
      for (const watch of watches) await watch.kill();
    });
  });
}
