// A storm of kills on a whole server, embedded and (with TEST_DATABASE_URL, and TEST_REDIS_URL where it is set) on
// PostgreSQL with two api and two worker processes. Exits with 1 when anything is not as it must be.
//
//   npm run chaos -- [--mode embedded|postgresql] [--runs 400] [--hits 10] [--seconds 900] [--lanes 16] [--seed TEXT] [--recovery 4]
//
// `--recovery`: seconds from a kill to the next attempt that are still right where others live on (0 = not looked at).
import { parseArgs } from 'node:util';
import { printStorm } from './print-storm.ts';
import { storm, type StormOptions } from './storm.ts';

const { values } = parseArgs({
  options: {
    mode: { type: 'string' },
    runs: { type: 'string', default: '400' },
    hits: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '900' },
    lanes: { type: 'string', default: '16' },
    seed: { type: 'string', default: String(Date.now()) },
    recovery: { type: 'string', default: '4' },
  },
});
const { TEST_DATABASE_URL, TEST_REDIS_URL } = process.env;
const modes = (['embedded', 'postgresql'] as const).filter((mode) => values.mode === undefined || values.mode === mode);
if (modes.length === 0) throw new Error(`there is no mode ${values.mode}`);
const say = (line: string): void => console.log(line);
let failed = false;
for (const mode of modes) {
  if (mode === 'postgresql' && !TEST_DATABASE_URL) {
    say('NOT tested: several processes on PostgreSQL, which need TEST_DATABASE_URL (and TEST_REDIS_URL for Redis)');
    failed ||= values.mode !== undefined;
    continue;
  }
  const options: StormOptions = {
    mode,
    redisUrl: TEST_REDIS_URL || null,
    runs: Number(values.runs),
    hits: Number(values.hits),
    seconds: Number(values.seconds),
    lanes: Number(values.lanes),
    seed: values.seed,
    say,
  };
  const carrier = mode === 'postgresql' ? (options.redisUrl ? ', wake-ups by Redis' : ', wake-ups by NOTIFY') : '';
  say(`${mode}${carrier}: at least ${options.runs} runs and ${options.hits} hits of each kind, seed ${options.seed}`);
  const result = await storm(options);
  for (const line of printStorm(result)) say(`  ${line}`);
  failed ||= result.findings.length > 0;
  const slowest = Math.max(0, ...result.recoveries.times) / 1000;
  const limit = Number(values.recovery);
  if (mode === 'embedded' || limit === 0 || slowest <= limit) continue;
  say(`  TOO SLOW: a run stood still for ${slowest.toFixed(2)} s after its process was killed; ${limit} s are allowed`);
  failed = true;
}
process.exitCode = failed ? 1 : 0;
