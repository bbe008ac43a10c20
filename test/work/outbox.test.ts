import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { createOutbox, type Outbox } from '../../src/work/outbox.ts';

/** An outbox whose batches leave when the test says so. */
function held(limit = 1000): { outbox: Outbox<string>; sent: string[][]; let: (go: boolean) => void } {
  const sent: string[][] = [];
  let settle: PromiseWithResolvers<void> | null = null;
  const outbox = createOutbox<string>({
    windowMs: 0,
    sizeOf: (item) => item.length,
    limit,
    lost: '!',
    async send(batch) {
      sent.push(batch);
      settle = Promise.withResolvers();
      await settle.promise;
    },
  });
  return { outbox, sent, let: (go) => (go ? settle!.resolve() : settle!.reject(new Error('the connection is gone'))) };
}

describe('what waits to be told to others', () => {
  test('leaves in batches, one at a time, the last of each key', async () => {
    const { outbox, sent, let: release } = held();
    outbox.connected(true);
    outbox.put('a', 'a1');
    outbox.put('b', 'b1');
    outbox.put('a', 'a2');
    await eventually(() => expect(sent).toEqual([['a2', 'b1']]));
    outbox.put('a', 'a3');
    outbox.put('c', 'c1');
    expect(sent).toHaveLength(1);
    release(true);
    await eventually(() =>
      expect(sent).toEqual([
        ['a2', 'b1'],
        ['a3', 'c1'],
      ]));
    release(true);
    await outbox.close();
  });

  test('is kept while there is no connection, and sent again when a batch may not have left', async () => {
    const { outbox, sent, let: release } = held();
    outbox.put('a', 'a1');
    outbox.connected(true);
    await eventually(() => expect(sent).toEqual([['a1']]));
    outbox.put('a', 'a2');
    outbox.put('b', 'b1');
    release(false);
    outbox.connected(false);
    outbox.connected(true);
    await eventually(() => expect(sent).toHaveLength(2));
    expect(sent[1]).toEqual(['a2', 'b1']);
    release(true);
    await outbox.close();
  });

  test('is given up beyond its limit, and that is what the others are told', async () => {
    const { outbox, sent, let: release } = held(10);
    for (let i = 0; i < 6; i++) outbox.put(`${i}`, 'xx');
    outbox.put('new', 'y');
    outbox.connected(true);
    await eventually(() => expect(sent).toEqual([['!', 'y']]));
    release(true);
    await outbox.close();
  });

  test('is sent once more at the end, if there is a connection, and nothing is taken any more', async () => {
    const { outbox, sent, let: release } = held();
    outbox.connected(true);
    outbox.put('a', 'a1');
    const closed = outbox.close();
    await eventually(() => expect(sent).toEqual([['a1']]));
    outbox.put('b', 'b1');
    release(true);
    await closed;
    expect(sent).toHaveLength(1);

    const mute = held();
    mute.outbox.put('a', 'a1');
    await mute.outbox.close();
    expect(mute.sent).toEqual([]);
  });
});
