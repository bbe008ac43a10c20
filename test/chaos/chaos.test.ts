import { describe, expect, test } from 'vitest';
import { TEST_DATABASE_URL } from '../database.ts';
import { printStorm } from './print-storm.ts';
import { storm, type StormOptions } from './storm.ts';

const TEST_REDIS_URL = process.env.TEST_REDIS_URL || null;
const MODES = [
  { mode: 'embedded', name: 'one process with its data folder', skip: false },
  { mode: 'postgresql', name: 'two api and two worker processes (needs TEST_DATABASE_URL)', skip: !TEST_DATABASE_URL },
] as const;

for (const { skip, name } of MODES) if (skip) console.warn(`a storm of kills on ${name} is NOT tested`);

// `npm run chaos` does the same for longer. Most of the time goes into starting processes.
const SHORT: Omit<StormOptions, 'mode'> = {
  redisUrl: TEST_REDIS_URL,
  runs: 16,
  hits: 1,
  seconds: 240,
  seed: 'short',
  lanes: 6,
  say: () => {},
};

describe.each(MODES)('$name, killed again and again', ({ mode, skip }) => {
  test.skipIf(skip)(
    'lose no run, do nothing twice and leave every reader with what is stored',
    { timeout: 480_000 },
    async () => {
      const result = await storm({ ...SHORT, mode });
      console.log([`a storm of kills, ${mode}`, ...printStorm(result)].join('\n'));
      expect(result.findings).toEqual([]);
    },
  );
});
