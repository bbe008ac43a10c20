import { pino } from 'pino';
import type { Queryable } from '../../src/db/db.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import type { TestDatabase } from '../database.ts';
import { auditCalls, type StoredStep } from './audit-calls.ts';
import type { Findings } from './findings.ts';
import type { Kill } from './fleet.ts';
import { FINAL, type Lane, type StartedRun } from './lane.ts';
import { takesIn, wordsOf } from './plan.ts';
import { type Received } from './reader.ts';
import { recoveriesOf } from './recoveries.ts';
import type { World } from './world.ts';

export interface AuditRowsOptions {
  database: TestDatabase;
  lanes: readonly Lane[];
  kills: readonly Kill[];
  world: World;
  leaseMs: number;
  findings: Findings;
}

interface RunRow {
  id: string;
  status: string;
  attempt: number;
  free: boolean;
  lastError: unknown;
}

interface MessageRow {
  id: string;
  threadId: string;
  runId: string | null;
  status: string;
  incompleteReason: string | null;
  text: string;
}

interface EventRow {
  threadId: string;
  number: number;
  runId: string | null;
  type: string;
  payload: string | null;
  at: Date;
}

/** Looks at the rows themselves, once every process is gone. */
export async function auditRows({ database, lanes, kills, world, leaseMs, findings }: AuditRowsOptions) {
  const db = await openDatabase({ ...database, poolSize: 2, logger: pino({ level: 'silent' }) });
  try {
    const [runs, threads, messages, steps, events] = await Promise.all([
      all<RunRow>(
        db,
        'runs',
        `select id, status, attempt, owner is null and lease_until is null and line is null as free, last_error as "lastError" from run`,
      ),
      all<{ id: string; activeRunId: string | null; logFrom: number }>(
        db,
        'threads',
        'select id, active_run_id as "activeRunId", log_from as "logFrom" from thread',
      ),
      all<MessageRow>(
        db,
        'messages',
        `select id, thread_id as "threadId", run_id as "runId", status, incomplete_reason as "incompleteReason",
(select coalesce(string_agg(part->>'value', ''), '') from jsonb_array_elements(content::jsonb) part) as text
from message order by thread_id, position`,
      ),
      all<StoredStep>(
        db,
        'steps',
        `select id, run_id as "runId", turn, type, status, tool_calls as "toolCalls", usage is not null as whole
from run_step order by run_id, position`,
      ),
      all<EventRow>(
        db,
        'events',
        `select thread_id as "threadId", number, run_id as "runId", type, at,
case when type in ('RunStatusChanged', 'RunStepDelta', 'RunStepFinished') then payload end as payload
from event order by thread_id, number`,
      ),
    ]);
    const rowOf = new Map(runs.map((run) => [run.id, run]));
    const started = lanes.flatMap((lane) => lane.runs);
    findings.expect(runs.length === started.length, `${started.length} runs were started, ${runs.length} are stored`);
    for (const run of started) {
      const row = rowOf.get(run.id);
      if (!row) findings.add(`${run.id} is gone`);
      else
        checkRun(
          run,
          row,
          messages.filter(({ runId }) => runId === run.id),
          steps.filter(({ runId }) => runId === run.id),
          findings,
        );
    }
    for (const { id, activeRunId } of threads)
      findings.expect(activeRunId === null, `${id} is locked by ${activeRunId}`);
    for (const { id, status } of messages) findings.expect(status !== 'IN_PROGRESS', `${id} is in progress for ever`);
    for (const { id, status } of steps) findings.expect(status !== 'IN_PROGRESS', `${id} is in progress for ever`);
    for (const lane of lanes) {
      const log = events.filter(({ threadId }) => threadId === lane.threadId);
      const { logFrom } = threads.find(({ id }) => id === lane.threadId)!;
      checkLog(lane, log, logFrom, findings);
      const said = messages.filter(({ threadId, runId }) => threadId === lane.threadId && runId === null);
      // Those that were taken out of the line have said nothing.
      findings.expect(
        new Set(said.map(({ text }) => text)).size === said.length,
        `${lane.threadId}: something was said twice`,
      );
    }
    for (const run of started) checkStop(run, world, findings);
    const told = new Map(lanes.flatMap(({ reader }) => [...reader.ends]));
    const counts = auditCalls({ steps, events, told, leaseMs, kills, world, findings });
    const beginnings = started.map(({ id, plan: { tag } }) => ({
      tag,
      events: beginningsOf(events.filter(({ runId }) => runId === id)),
    }));
    return {
      ...counts,
      byStatus: tally(runs, ({ status }) => status),
      byAttempts: tally(runs, ({ attempt }) => attempt),
      superseded: messages.filter(({ incompleteReason }) => incompleteReason === 'SUPERSEDED').length,
      recoveries: recoveriesOf(beginnings, kills, world),
    };
  } finally {
    await db.close();
  }
}

const all = <Row>(db: Queryable, name: string, text: string): Promise<Row[]> =>
  db.query<Row>({ name: `chaos-${name}`, text, values: [] });

function checkRun(
  run: StartedRun,
  row: RunRow,
  written: readonly MessageRow[],
  steps: readonly StoredStep[],
  findings: Findings,
): void {
  const { id, plan, cancelled } = run;
  const name = `${id} (${plan.tag})`;
  findings.expect(FINAL.has(row.status), `${name} is ${row.status} for ever`);
  findings.expect(row.free, `${name} has an owner, a lease or a place in the line left`);
  const right = { no: ['COMPLETED'], maybe: ['COMPLETED', 'CANCELLED'], yes: ['CANCELLED'] }[cancelled];
  const why = row.lastError ? ` (${JSON.stringify(row.lastError)})` : '';
  findings.expect(right.includes(row.status), `${name} is ${row.status}${why}, and should be ${right.join(' or ')}`);
  const kept = written.filter(({ incompleteReason }) => incompleteReason !== 'SUPERSEDED');
  const told = new Map<number, number>();
  for (const { id: messageId, status, text } of kept) {
    const [take] = takesIn(text);
    const whole = take && wordsOf(take, plan.turns[take.turn]!).join('');
    const isRight = take?.tag === plan.tag && (status === 'COMPLETED' ? text === whole : whole!.startsWith(text));
    findings.expect(
      isRight || (text === '' && status !== 'COMPLETED'),
      `${messageId} of ${name} says "${text}", which the model has not said`,
    );
    if (!take) continue;
    findings.expect(!told.has(take.turn), `${name} has said turn ${take.turn} twice`);
    told.set(take.turn, take.take);
  }
  const turns = new Set(steps.filter(({ status, whole }) => status === 'COMPLETED' && whole).map(({ turn }) => turn));
  if (row.status !== 'COMPLETED') return;
  findings.expect(
    turns.size === plan.turns.length,
    `${name} has completed ${turns.size} turns of ${plan.turns.length}`,
  );
  const words = plan.turns.flatMap((turn, i) => (turn.words > 0 ? i : [])).join();
  findings.expect(
    [...told.keys()].join() === words,
    `${name} has spoken in turns ${[...told.keys()].join()}, and not in ${words}`,
  );
}

/** Two heartbeats, and what a machine takes that has more to do than it can. */
const STOP_MS = 10_000;

/** A run that was asked to stop asks for nothing more, even when the process that was told so is killed. */
function checkStop({ id, plan, stoppedAt }: StartedRun, { modelCalls }: World, findings: Findings): void {
  if (stoppedAt === null) return;
  const late = modelCalls.find(({ tag, began }) => tag === plan.tag && began > stoppedAt + STOP_MS);
  findings.expect(
    !late,
    `${id} (${plan.tag}) was cancelled, and asked the model again ${late && late.began - stoppedAt} ms later`,
  );
}

/** Contiguous but for what is compacted; and what a reader was not told is nothing but parts of deltas. */
function checkLog({ threadId, reader }: Lane, log: readonly EventRow[], logFrom: number, findings: Findings): void {
  let expected = 1;
  for (const { number } of log) {
    findings.expect(
      number === expected || number <= logFrom + 1,
      `${threadId}: behind ${expected - 1} its log goes on with ${number}, compacted up to ${logFrom}`,
    );
    expected = number + 1;
  }
  const known = new Map(log.map((event) => [event.number, event.type]));
  const told = new Set<number>();
  let covered = reader.beganAt ?? 0;
  const isSnapshot = ({ type }: Received): boolean => type.endsWith('Snapshot');
  for (const one of reader.received) {
    if (isSnapshot(one)) for (let place = covered + 1; place <= one.place; place++) told.add(place);
    else {
      findings.expect(!told.has(one.place), `${threadId}: event ${one.place} was told twice`);
      // Deltas that were compacted since leave no row to compare with.
      const type = known.get(one.place) ?? (one.type.endsWith('Delta') ? one.type : 'nothing');
      findings.expect(type === one.type, `${threadId}: event ${one.place} was told as ${one.type}, it is ${type}`);
      told.add(one.place);
    }
    covered = one.place;
  }
  for (const { number, type } of log) {
    if (!type.endsWith('Delta'))
      findings.expect(told.has(number), `${threadId}: event ${number} (${type}) was never told`);
  }
}

function beginningsOf(log: readonly EventRow[]): { at: number; attempt: number }[] {
  return log.flatMap(({ type, payload, at }) => {
    if (type !== 'RunStatusChanged') return [];
    const { run } = JSON.parse(payload!) as { run: { status: string; attempt: number } };
    return run.status === 'IN_PROGRESS' ? [{ at: at.getTime(), attempt: run.attempt }] : [];
  });
}

function tally<Item, Key extends string | number>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
): Record<Key, number> {
  const counts = {} as Record<Key, number>;
  for (const item of items) counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  return counts;
}
