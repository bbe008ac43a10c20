import type { Queryable, Tx } from '../db/db.ts';
import { columns, insertRows } from '../db/rows.ts';
import { type Leases, RELEASED } from '../work/leases.ts';
import type { NewMessage } from '../threads/message.ts';
import type { Run, RunConfig, RunStep } from './run.ts';
import { isFinal } from './status.ts';

/** The only statements that write runs and steps (a run's lease columns are written by src/work). */

/** Fields of a run's row that are not the run's: its lease, its place in line, the state of its log. */
export const KEPT: readonly string[] = [
  ...['owner', 'epoch', 'leaseUntil', 'preferredOwner', 'preferredUntil'],
  ...['line', 'pendingMessages', 'lost', 'endedAt', 'compacted'],
];

/** What comes with the claim of a run: all that a worker needs to begin. */
const CLAIMED = `${columns('Run', 't', ['metadata', ...KEPT])}, t.lost,
(select coalesce(max(number), 0)::int from event where thread_id = t.thread_id) as "logEnd",
(select coalesce(max(position), 0)::int from message where thread_id = t.thread_id) as "lastPosition"`;

/**
 * How runs are claimed (src/work): the claim of a run that goes on is its beginning. One that somebody wants stopped,
 * whose time is over, or with which `maxAttempts` workers were lost at one step, is claimed to be ended.
 */
export function runLeases(maxAttempts: number) {
  const lost = 't.lost + c.taken_over::int';
  const live = `(t.cancel_requested_at is null and t.expires_at > now() and ${lost} < ${maxAttempts})`;
  return {
    table: 'run',
    ready: `status in ('QUEUED', 'IN_PROGRESS') and line is null
and (preferred_until is null or preferred_until < now() or preferred_owner = $2)`,
    stop: 'cancel_requested_at is not null',
    set: `status = case when ${live} then 'IN_PROGRESS' else t.status end,
started_at = case when ${live} then now() else t.started_at end, attempt = t.attempt + c.taken_over::int, lost = ${lost},
preferred_until = null`,
    returning: `${CLAIMED}, t.cancel_requested_at is null and t.expires_at > now() and t.lost < ${maxAttempts} as begun`,
  } as const;
}

export interface ClaimedRun extends Run {
  config: RunConfig;
  /** Workers that were lost with it since its last committed step. */
  lost: number;
  /** Number of its thread's last event, and position of the last message. */
  logEnd: number;
  lastPosition: number;
  begun: boolean;
}

/** A run is read without what never changes and may be large; the lease is nobody's business but its owner's. */
export const RUN_COLUMNS = columns('Run', 'r', ['config', 'metadata', ...KEPT]);
export const STEP_COLUMNS = columns('RunStep', 's');

/**
 * Inserts a run, in the hands of `leases`' owner when it is born claimed (its first claim, then). The lease counts by
 * the database's clock, as all do.
 */
export function insertRun(
  tx: Tx,
  run: Run,
  config: RunConfig,
  metadata: Record<string, string>,
  leases: Pick<Leases, 'owner' | 'leaseMs'> | null,
  waiting: { line: number; pendingMessages: NewMessage[] } | null = null,
): void {
  const row = { ...run, config, metadata, epoch: leases ? 1 : 0, lost: 0, compacted: false, ...waiting };
  const until = `now() + $3 * interval '1 millisecond'`;
  const born = leases && {
    name: 'born',
    columns: { owner: '$2', leaseUntil: until },
    values: [leases.owner, leases.leaseMs],
  };
  tx.write(insertRows('Run', [row], born ?? undefined));
}

/** Stores a run's change and leaves it to others, or to nobody. What it has lost counts from here again. */
export function saveRun(tx: Tx, run: Run): void {
  tx.write({
    name: 'run-save',
    text: `update run set status = $2, required_action = $3, last_error = $4, incomplete_reason = $5, usage = $6, attempt = $7,
last_event = $8, started_at = $9, expires_at = $10, completed_at = $11, cancelled_at = $12, failed_at = $13, ended_at = $14,
lost = 0, ${RELEASED} where id = $1`,
    values: [
      run.id,
      run.status,
      json(run.requiredAction),
      json(run.lastError),
      run.incompleteReason,
      json(run.usage),
      run.attempt,
      run.lastEvent,
      run.startedAt,
      run.expiresAt,
      run.completedAt,
      run.cancelledAt,
      run.failedAt,
      isFinal(run.status) ? new Date() : null,
    ],
  });
}

/** Takes a run out of the line, in which it keeps its place until the log has told of it. */
export function saveTakenOut(tx: Tx, { id, status, cancelledAt }: Run): void {
  tx.write({
    name: 'run-save-taken-out',
    text: 'update run set status = $2, cancelled_at = $3, ended_at = $3, pending_messages = null where id = $1',
    values: [id, status, cancelledAt],
  });
}

/** Stores the end of a run that stood in line, with the places of its events in the log. */
export function saveOutOfLine(tx: Tx, run: Run): void {
  tx.write({
    name: 'run-save-out-of-line',
    text: `update run set status = $2, line = null, pending_messages = null, first_event = $3, last_event = $4, last_error = $5,
cancelled_at = $6, failed_at = $7, ended_at = coalesce(ended_at, now()) where id = $1`,
    values: [run.id, run.status, run.firstEvent, run.lastEvent, json(run.lastError), run.cancelledAt, run.failedAt],
  });
}

/** Stores that a run which stood in line has its thread. */
export function saveEntered(tx: Tx, { id, firstEvent, expiresAt }: Run): void {
  tx.write({
    name: 'run-save-entered',
    text: 'update run set line = null, pending_messages = null, first_event = $2, expires_at = $3 where id = $1',
    values: [id, firstEvent, expiresAt],
  });
}

/**
 * Leaves a run that waits for a worker to the one that has the variables of its thread's code, if one has and the run may
 * want them: for a moment, because that worker may be gone or have its hands full.
 */
export function preferWorker(tx: Tx, id: string): void {
  tx.write({
    name: 'run-prefer-worker',
    text: `update run r set preferred_owner = s.worker, preferred_until = now() + interval '2 seconds' from code_session s
where r.id = $1 and s.thread_id = r.thread_id and s.live_until > now()
and r.config->'tools' @> '[{"type": "codeInterpreter"}]'`,
    values: [id],
  });
}

/** A step was committed: the workers that were lost before it no longer count. */
export function forgetLost(tx: Tx, id: string): void {
  tx.write({ name: 'run-forget-lost', text: 'update run set lost = 0 where id = $1', values: [id] });
}

/** Locks a run and says whether its owner is asked to stop. */
export async function isAskedToStop(tx: Tx, id: string): Promise<boolean> {
  const [row] = await tx.query<{ asked: boolean }>({
    name: 'run-asked-to-stop',
    text: 'select cancel_requested_at is not null as asked from run where id = $1 for update',
    values: [id],
  });
  return row?.asked ?? false;
}

export function insertStep(tx: Tx, step: RunStep): void {
  tx.write(insertRows('RunStep', [step]));
}

export function saveStep(tx: Tx, step: RunStep): void {
  tx.write({
    name: 'step-save',
    text: `update run_step set status = $2, tool_calls = $3, usage = $4, last_error = $5, completed_at = $6, cancelled_at = $7,
failed_at = $8, expired_at = $9 where id = $1`,
    values: [
      step.id,
      step.status,
      json(step.toolCalls),
      json(step.usage),
      json(step.lastError),
      step.completedAt,
      step.cancelledAt,
      step.failedAt,
      step.expiredAt,
    ],
  });
}

export const readSteps = (q: Queryable, runId: string): Promise<RunStep[]> =>
  q.query<RunStep>({
    name: 'step-read',
    text: `select ${STEP_COLUMNS} from run_step s where run_id = $1 order by position`,
    values: [runId],
  });

const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
