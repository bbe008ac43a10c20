import type { ToolCall } from '../../src/runs/run.ts';
import type { Findings } from './findings.ts';
import type { Kill } from './fleet.ts';
import type { Execution, World } from './world.ts';

export interface StoredStep {
  id: string;
  runId: string;
  turn: number;
  type: string;
  status: string;
  toolCalls: ToolCall[] | null;
  /** Whether its turn is committed. */
  whole: boolean;
}

export interface AuditCallsOptions {
  steps: readonly StoredStep[];
  events: readonly { type: string; payload: string | null; at: Date }[];
  kills: readonly Kill[];
  world: World;
  /** When readers were told of the ends of hosted calls, for those whose deltas are compacted. */
  told: ReadonlyMap<string, number>;
  /** The least time, in milliseconds, in which a process that lives can lose a run. */
  leaseMs: number;
  findings: Findings;
}

/** What a machine takes to notice what was sent before, when it has more to do than it can. */
const LATE_MS = 5000;

/** What a call is about, as the model has written it; null when its turn was stopped before it was written to the end. */
function keyOf(call: ToolCall): string | null {
  const key = /^\{"\w+":"([^"]+)"\}$/.exec(call.arguments)?.[1];
  return key ?? null;
}

const resultOf = (call: ToolCall): string | null => {
  if (call.type === 'fileSearch') return call.results.map(({ text }) => text).join('\n');
  if (call.type === 'codeInterpreter')
    return call.outputs
      .map((one) => (one.type === 'logs' ? one.logs : ''))
      .join('')
      .trimEnd();
  return call.output;
};

/** Holds the stored calls against what was really done: once each, by whom it was given to. */
export function auditCalls({ steps, events, told: toldOf, leaseMs, kills, world, findings }: AuditCallsOptions) {
  const byKey = new Map<string, Execution[]>();
  for (const one of world.executions) byKey.set(one.key, [...(byKey.get(one.key) ?? []), one]);
  const ends = endsOf(events);
  const stored = new Set<string>();
  let interruptedCode = 0;
  for (const { id: stepId, toolCalls, whole } of steps) {
    for (const call of whole ? (toolCalls ?? []) : []) {
      const key = keyOf(call);
      const name = `call ${call.id} (${key})`;
      if (key === null) {
        findings.expect(call.status === 'CANCELLED', `${name} is ${call.status}, and says "${call.arguments}"`);
        continue;
      }
      findings.expect(!stored.has(key), `${name} is stored twice`);
      stored.add(key);
      const result = resultOf(call);
      const told = ends.get(call.id) ?? [toldOf.get(call.id) ?? []].flat();
      if (call.type === 'function') {
        // Told once, with its step's end.
        if (call.status === 'COMPLETED')
          findings.expect(result === world.outputs.get(key), `${name} has output "${result}"`);
        continue;
      }
      findings.expect(told.length <= 1, `${name} of ${stepId} has ended ${told.length} times`);
      const made = byKey.get(key) ?? [];
      if (call.status === 'COMPLETED') {
        const source = made.filter(({ token }) => token === result);
        findings.expect(
          source.length === 1 && source[0]!.answered !== null,
          `${name} has result "${result}", of ${made.length} executions`,
        );
      } else if (call.failure?.startsWith('The process that ran this call was lost')) interruptedCode += 1;
      else
        findings.expect(
          call.status === 'CANCELLED' || (call.status === 'FAILED' && call.failure === null),
          `${name} is ${call.status}: ${call.failure}`,
        );
      for (const { began, process } of made) {
        findings.expect(
          told.every((at) => began <= at),
          `${name} was made by ${process} after its result was stored`,
        );
      }
    }
  }
  let repeatedSearches = 0;
  for (const [key, made] of byKey) {
    findings.expect(
      made.length === 1 || made[0]!.kind === 'search',
      `the code of call ${key} was run ${made.length} times`,
    );
    repeatedSearches += made.length - 1;
    for (const [i, one] of made.entries()) {
      const next = made[i + 1];
      if (!next) continue;
      // Who has lost its lease gives up what it does. One that was held up for so long may not have come to it yet.
      const kill = kills.find(({ process }) => process === one.process);
      const gone = kill !== undefined && kill.at <= next.began;
      findings.expect(
        gone || one.answered === null || next.began - one.began >= leaseMs,
        `call ${key} was made by ${next.process} and by ${one.process}, which lived to see its result`,
      );
    }
  }
  const all = [...world.modelCalls, ...world.executions];
  for (const { process, at } of kills) {
    const late = all.find((one) => one.process === process && one.began > at + LATE_MS);
    findings.expect(!late, `process ${process} asked for something after it was killed`);
  }
  return { interruptedCode, repeatedSearches };
}

/** When the log told of the end of each hosted call. */
function endsOf(events: AuditCallsOptions['events']): Map<string, number[]> {
  const ends = new Map<string, number[]>();
  for (const { type, payload, at } of events) {
    if (type !== 'RunStepDelta' || !payload) continue;
    const { toolCalls } = JSON.parse(payload) as { toolCalls: { id: string; ended?: unknown }[] };
    for (const { id, ended } of toolCalls) if (ended) ends.set(id, [...(ends.get(id) ?? []), at.getTime()]);
  }
  return ends;
}
