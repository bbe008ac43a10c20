import type { Logger } from 'pino';
import type { Db } from '../db/db.ts';

/** Periodic work on a whole database, done by one process at a time. */
export interface Chore {
  /** The same in every process, and no other chore's. */
  name: string;
  /** From the end of one turn to the beginning of the next. */
  everyMs: number;
  /**
   * One turn: short steps, each of them whole in itself, since a turn may end with its process. Says how much was done
   * of what. Begins no further step once the signal is aborted.
   */
  work(signal: AbortSignal): Promise<Readonly<Record<string, number>>>;
}

export interface Chores {
  /** Begins no further turn, and waits for the steps that are under way. */
  close(): Promise<void>;
}

/**
 * Does chores for as long as the process lives. The first turn of each comes after a random part of its interval, so
 * that processes that were started together do not meet for ever.
 */
export function createChores({ db, chores, logger }: { db: Db; chores: readonly Chore[]; logger: Logger }): Chores {
  const closing = new AbortController();
  const timers = new Map<Chore, NodeJS.Timeout>();
  const underWay = new Set<Promise<void>>();

  function schedule(chore: Chore, ms: number): void {
    if (closing.signal.aborted) return;
    const timer = setTimeout(() => {
      const turn = take(chore).finally(() => {
        underWay.delete(turn);
        schedule(chore, chore.everyMs);
      });
      underWay.add(turn);
    }, ms);
    // It is not for the chores that a process lives.
    timers.set(chore, timer.unref());
  }

  async function take(chore: Chore): Promise<void> {
    const started = performance.now();
    try {
      const done = await db.exclusively(`chore ${chore.name}`, (lost) =>
        chore.work(AbortSignal.any([closing.signal, lost])),
      );
      if (!done || Object.values(done).every((count) => count === 0)) return;
      logger.info({ chore: chore.name, ...done, ms: Math.round(performance.now() - started) }, 'chore done');
    } catch (error) {
      logger.error({ err: error, chore: chore.name }, 'a chore failed; trying again at its next turn');
    }
  }

  for (const chore of chores) schedule(chore, Math.random() * chore.everyMs);
  return {
    async close() {
      closing.abort();
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all(underWay);
    },
  };
}
