import type { Kill } from './fleet.ts';
import type { World } from './world.ts';

/** How long runs stood still whose process was killed, in milliseconds from the kill to the event of the next attempt. */
export interface Recoveries {
  times: number[];
  /** Attempts of which it is not known which kill they came of: nothing had been asked for the run in the one before. */
  unclear: number;
  /** Attempts after a process that was not killed, and had let a lease run out all the same. */
  fromTheLiving: number;
}

/** A run's beginnings: the wall clock of each event IN_PROGRESS, with the attempt it tells of. */
export interface Beginnings {
  tag: string;
  events: readonly { at: number; attempt: number }[];
}

export function recoveriesOf(runs: readonly Beginnings[], kills: readonly Kill[], world: World): Recoveries {
  const recoveries: Recoveries = { times: [], unclear: 0, fromTheLiving: 0 };
  const asked = new Map<string, { process: string; began: number }[]>();
  const note = (tag: string, process: string, began: number): void =>
    void (asked.get(tag)?.push({ process, began }) ?? asked.set(tag, [{ process, began }]));
  for (const { tag, process, began } of world.modelCalls) note(tag, process, began);
  for (const { key, process, began } of world.executions) note(key.slice(0, key.lastIndexOf('.')), process, began);
  const executes = kills.filter(({ role }) => role !== 'api');
  for (const { tag, events } of runs) {
    for (const [i, { at, attempt }] of events.entries()) {
      const before = events[i - 1];
      if (!before || attempt === before.attempt) continue;
      const within = (time: number): boolean => time >= before.at && time <= at;
      const last = (asked.get(tag) ?? [])
        .filter(({ began }) => within(began))
        .toSorted((a, b) => a.began - b.began)
        .at(-1);
      const possible = executes.filter((kill) => within(kill.at));
      const kill = last
        ? executes.find(({ process }) => process === last.process)
        : possible.length === 1
          ? possible[0]
          : undefined;
      if (kill && within(kill.at)) recoveries.times.push(at - kill.at);
      else if (possible.length === 0 || (last && !kill)) recoveries.fromTheLiving += 1;
      else recoveries.unclear += 1;
    }
  }
  return recoveries;
}
