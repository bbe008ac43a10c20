import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import type { Topic, Wake } from '../../src/work/wake.ts';

export interface Ways {
  /** One more process that is told of the others. */
  open(): Promise<Wake>;
  /** Cuts every connection there is; those that are made afterwards are let be. Null where there are none. */
  cut: (() => Promise<void>) | null;
  /** Takes the way between the processes away, until it is given back; null where that cannot be. */
  block: (() => Promise<() => Promise<void>>) | null;
  /** Connections that are open on the other side. */
  connections: (() => Promise<number>) | null;
}

/** Everything that one listener has heard, in order. */
interface Diary {
  readonly heard: string[];
  missed: number;
  off(): void;
}

function listen(wake: Wake, topic: Topic): Diary {
  const diary: Diary = { heard: [], missed: 0, off: () => {} };
  diary.off = wake.on(
    topic,
    (subject) => diary.heard.push(subject),
    () => (diary.missed += 1),
  );
  return diary;
}


/** What holds of every kind of wake-up. */
export function wakeContract(ways: Ways): void {
  const open: Wake[] = [];
  afterEach(async () => {
    for (const wake of open.splice(0)) await wake.close();
  });
  const process = async (): Promise<Wake> => {
    const wake = await ways.open();
    open.push(wake);
    return wake;
  };

  describe('within a process', () => {
    test('are heard by every listener of their topic, in order, once, and not before the caller is done', async () => {
      const wake = await process();
      const [stop, also, keys] = [listen(wake, 'stop'), listen(wake, 'stop'), listen(wake, 'keys')];
      wake.wake('stop', 'a');
      wake.wake('stop', 'b');
      wake.wake('keys', 'k');
      expect(stop.heard).toEqual([]);
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
      expect([stop.heard, also.heard, keys.heard]).toEqual([['a', 'b'], ['a', 'b'], ['k']]);
    });

    test('come without a subject where there is none', async () => {
      const wake = await process();
      const work = listen(wake, 'work');
      wake.wake('work');
      await eventually(() => expect(work.heard).toEqual(['']));
    });

    test('are not heard by those who have left', async () => {
      const wake = await process();
      const [gone, there] = [listen(wake, 'work'), listen(wake, 'work')];
      expect(wake.listeners).toBe(2);
      gone.off();
      wake.wake('work');
      await eventually(() => expect(there.heard).toEqual(['']));
      expect(gone.heard).toEqual([]);
      there.off();
      expect(wake.listeners).toBe(0);
    });

    test('that are for others are not heard', async () => {
      const wake = await process();
      const events = listen(wake, 'events');
      wake.wakeOthers('events', 'x.1');
      wake.wake('events', 'x.2');
      await eventually(() => expect(events.heard).toEqual(['x.2']));
    });
  });

  const { cut, block, connections } = ways;
  if (!cut || !block || !connections) {
    test('there is no other process to tell', async () => {
      const wake = await process();
      expect(wake.carrier).toBeNull();
    });
    return;
  }

  describe('between processes', () => {
    test('are heard in order, once each, and the sender hears its own once', async () => {
      const [a, b] = [await process(), await process()];
      const [own, other] = [listen(a, 'stop'), listen(b, 'stop')];
      const sent = Array.from({ length: 300 }, (_, i) => `run_${i}`);
      for (const subject of sent) a.wake('stop', subject);
      b.wake('stop', 'the end');
      await eventually(() => expect(own.heard).toContain('the end'));
      await eventually(() => expect(other.heard).toHaveLength(301));
      expect(other.heard.filter((subject) => subject !== 'the end')).toEqual(sent);
      expect(own.heard.filter((subject) => subject !== 'the end')).toEqual(sent);
    });

    test('are told to all of them, whatever the topic', async () => {
      const all = [await process(), await process(), await process()];
      const diaries = all.map((wake) => (['work', 'stop', 'keys', 'threads'] as const).map((t) => listen(wake, t)));
      all[0]!.wake('work');
      all[1]!.wake('stop', 'r');
      all[2]!.wake('keys', 'k');
      all[0]!.wake('threads', 'p');
      await eventually(() => {
        for (const of of diaries) expect(of.map(({ heard }) => heard)).toEqual([[''], ['r'], ['k'], ['p']]);
      });
    });

    test('that are large in number arrive all', async () => {
      const [a, b] = [await process(), await process()];
      const heard = listen(b, 'threads');
      const sent = Array.from({ length: 3000 }, (_, i) => `proj_${'x'.repeat(26)}${i}`);
      for (const subject of sent) a.wake('threads', subject);
      await eventually(() => expect(heard.heard).toHaveLength(sent.length));
      expect(heard.heard).toEqual(sent);
    });

    test('of one key that wait are told as one, the last', async () => {
      const [a, b] = [await process(), await process()];
      const heard = listen(b, 'events');
      for (let i = 1; i <= 100; i++) a.wakeOthers('events', `x.${i}`, 'x');
      a.wakeOthers('events', 'y.1', 'y');
      await eventually(() => expect(heard.heard).toContain('y.1'));
      expect(heard.heard).toEqual(['x.100', 'y.1']);
    });

    test('are not lost by who listens when it has been opened', async () => {
      const a = await process();
      for (let i = 0; i < 5; i++) {
        const b = await process();
        const heard = listen(b, 'stop');
        a.wake('stop', `run_${i}`);
        await eventually(() => expect(heard.heard).toEqual([`run_${i}`]));
      }
    });

    test('come back when every connection is cut, and listeners are told that they may have missed some', async () => {
      const [a, b] = [await process(), await process()];
      const [stop, work] = [listen(b, 'stop'), listen(b, 'work')];
      a.wake('stop', 'before');
      await eventually(() => expect(stop.heard).toEqual(['before']));
      const before = stop.missed;
      await cut();
      await eventually(() => expect(stop.missed).toBeGreaterThan(before));
      expect(work.missed).toBe(stop.missed);
      await eventually(() => expect([a.carrier!.problem, b.carrier!.problem]).toEqual([null, null]));
      a.wake('stop', 'after');
      await eventually(() => expect(stop.heard).toContain('after'));
      expect(stop.heard.filter((subject) => subject === 'after')).toHaveLength(1);
    });

    test('that could not be sent are sent when they can be; meanwhile the state says why', async () => {
      const [a, b] = [await process(), await process()];
      const [own, other] = [listen(a, 'keys'), listen(b, 'keys')];
      const unblock = await block();
      try {
        await eventually(() => expect(a.carrier!.problem).toMatch(/connection is lost: \S/));
        a.wake('keys', 'key_1');
        await eventually(() => expect(own.heard).toEqual(['key_1'])); // here, nothing is in the way
        expect(other.heard).toEqual([]);
      } finally {
        await unblock();
      }
      await eventually(() => expect(a.carrier!.problem).toBeNull());
      // Who was deaf itself when it came has been told at least that it may have missed something.
      await eventually(() => expect(other.heard.includes('key_1') || other.missed > 0).toBe(true));
      await eventually(() => expect(b.carrier!.problem).toBeNull());
      a.wake('keys', 'key_2');
      await eventually(() => expect(other.heard).toContain('key_2'));
    });

    test('are opened and closed while there is no way, and nothing stays open', async () => {
      const unblock = await block();
      const wake = await ways.open();
      expect(wake.carrier!.problem).not.toBeNull();
      const heard = listen(wake, 'work');
      wake.wake('work');
      await eventually(() => expect(heard.heard).toEqual(['']));
      await wake.close();
      await unblock();
      await eventually(async () => expect(await connections()).toBe(0));
    });

    test('leave no connection behind, and what was just said is still sent', async () => {
      const [a, b] = [await ways.open(), await process()];
      const heard = listen(b, 'keys');
      a.wake('keys', 'key_last');
      await a.close();
      await eventually(() => expect(heard.heard).toEqual(['key_last']));
      await b.close();
      open.splice(0);
      await eventually(async () => expect(await connections()).toBe(0));
    });
  });
}
