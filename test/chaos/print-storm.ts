import { TARGETS } from './moments.ts';
import type { Storm } from './storm.ts';

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** Of sorted values; `share` 1 is the last. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;

const distribution = (values: readonly number[]): string => {
  if (values.length === 0) return 'none';
  const sorted = values.toSorted((a, b) => a - b);
  const [median, p95, most] = [0.5, 0.95, 1].map((share) => seconds(quantile(sorted, share)));
  return `median ${median}, 95 % ${p95}, max ${most} (${values.length})`;
};

const counts = (record: Record<string, number> | ReadonlyMap<string, number>): string =>
  (record instanceof Map ? [...record] : Object.entries(record))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ') || 'none';

/** What happened, in lines. */
export function printStorm(storm: Storm): string[] {
  const { kills, recoveries } = storm;
  const hits = new Map(TARGETS.map((target) => [target, kills.filter((kill) => kill.target === target).length]));
  const roles = new Map<string, number>();
  for (const { role } of kills) roles.set(role, (roles.get(role) ?? 0) + 1);
  return [
    `kills: ${kills.length} (${counts(roles)})`,
    `  by what they hit: ${counts(hits)}`,
    `runs: ${storm.runs} in ${storm.threads} threads: ${counts(storm.byStatus)}`,
    `  by attempts: ${counts(storm.byAttempts)}`,
    `recovery (killed → next attempt running): ${distribution(recoveries.times)}; of ${recoveries.unclear} it is not known which kill they came of, ${recoveries.fromTheLiving} were taken from a living process`,
    `process start: ${distribution(storm.starts)}`,
    `readers: ${storm.events} events, ${storm.snapshots} snapshots, ${storm.reconnects} reconnects (${counts(storm.closes)})`,
    `superseded messages: ${storm.superseded}; code interrupted: ${storm.interruptedCode}; searches made again: ${storm.repeatedSearches}`,
    `duration: ${seconds(storm.took)}`,
    storm.findings.length === 0 ? 'findings: none' : `FINDINGS: ${storm.findings.length}`,
    ...storm.findings.map((finding) => `  - ${finding}`),
  ];
}
