import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from './fleet.ts';
import type { Moments, Target } from './moments.ts';
import type { Random } from './random.ts';

/** What is aimed at by choice; `idle` is what a kill hits when there is nothing to hit. */
const AIMED: readonly Target[] = ['model stream', 'tool call', 'between steps', 'submit', 'cancel', 'settle'];

/** Kills one process after the other, each at what it is hit at least so far. */
export interface Killer {
  /** Whether each target has been hit so often. */
  hasHit(times: number): boolean;
  /** Kills a process that has nothing to do. */
  hitIdle(): boolean;
  stop(): Promise<void>;
}

export interface KillerOptions {
  fleet: Fleet;
  moments: Moments;
  random: Random;
  /** Milliseconds of peace between two kills, least and most. */
  peace: readonly [number, number];
  /** Whether the process has something in hand. */
  busy(process: string): boolean;
}

/** How long a moment is waited for until another one is as good. */
const PATIENCE_MS = 4000;

export function startKiller({ fleet, moments, random, peace, busy }: KillerOptions): Killer {
  const stopped = new AbortController();
  let aim: { target: Target; hit(): void } | null = null;
  const hits = (target: Target): number => fleet.kills.filter((kill) => kill.target === target).length;

  moments.onReach((target, process) => {
    if (aim?.target !== target || !fleet.kill(process, target)) return false;
    aim.hit();
    aim = null;
    return true;
  });

  function hitIdle(): boolean {
    const idle = fleet.up.filter(({ name }) => !busy(name));
    return idle.length > 0 && fleet.kill(random.pick(idle).name, 'idle');
  }

  async function work(): Promise<void> {
    const { signal } = stopped;
    let missed = new Set<Target>();
    while (!signal.aborted) {
      await fleet.whole();
      await pause(random.int(...peace), undefined, { signal });
      if (hits('idle') < Math.min(...AIMED.map(hits)) && random.chance(0.3) && hitIdle()) continue;
      const open = AIMED.filter((target) => !missed.has(target));
      const least = Math.min(...open.map(hits));
      const target = random.pick(open.filter((one) => hits(one) === least));
      const shot = new Promise<true>((resolve) => (aim = { target, hit: () => resolve(true) }));
      const gaveUp = pause(PATIENCE_MS, false, { signal });
      if (await Promise.race([shot, gaveUp])) missed = new Set();
      else missed.add(target);
      if (missed.size === AIMED.length) missed = new Set();
      aim = null;
    }
  }

  const done = work().catch((error: unknown) => {
    if (!stopped.signal.aborted) throw error;
  });
  done.catch(() => {}); // told to whoever stops it
  return {
    hasHit: (times) => AIMED.every((target) => hits(target) >= times),
    hitIdle,
    async stop() {
      stopped.abort();
      aim = null;
      await done;
    },
  };
}
