import type { Logger } from 'pino';
import type { Runs } from './runs.ts';

export interface Expiry {
  /** Looks no more, and waits for the look that is under way. */
  close(): Promise<void>;
}

/**
 * Ends runs that nobody holds and whose time is over. Every process looks, those without a worker too and however busy
 * it is: a thread is not kept because somebody else would have had to notice.
 */
export function createExpiry(options: { runs: Runs; everyMs: number; logger: Logger }): Expiry {
  const { runs, everyMs, logger } = options;
  let looking: Promise<void> | null = null;

  async function look(): Promise<void> {
    try {
      await runs.expireOverdue();
    } catch (error) {
      logger.error({ err: error }, 'looking for overdue runs failed; trying again');
    }
  }

  const timer = setInterval(() => (looking ??= look().finally(() => (looking = null))), everyMs);
  return {
    async close() {
      clearInterval(timer);
      await looking;
    },
  };
}
