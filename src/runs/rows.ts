import type { Queryable, Tx } from '../db/db.ts';
import { columns, insertRows } from '../db/rows.ts';
import { type Leases, RELEASED } from '../work/leases.ts';
import type { Run, RunConfig, RunStep } from './run.ts';

/** The only statements that write runs and steps (a run's lease columns are written by src/work). */

/** What comes with the claim of a run: all that a worker needs to begin. */
const CLAIMED = `${columns('Run', 't', ['metadata', 'owner', 'epoch', 'leaseUntil'])},
(select coalesce(max(number), 0)::int from event where thread_id = t.thread_id) as "logEnd",
(select coalesce(max(position), 0)::int from message where thread_id = t.thread_id) as "lastPosition"`;

/** Whether a claimed run is to be begun, and not to be ended because somebody wants it stopped or its time is over. */
const LIVE = '(t.cancel_requested_at is null and t.expires_at > now())';

/** How runs are claimed (src/work): the claim of a run that goes on is its beginning. */
export const RUN_LEASES = {
  table: 'run',
  ready: `status in ('QUEUED', 'IN_PROGRESS')`,
  stop: 'cancel_requested_at is not null',
  set: `status = case when ${LIVE} then 'IN_PROGRESS' else t.status end,
started_at = case when ${LIVE} then now() else t.started_at end, attempt = t.attempt + c.taken_over::int`,
  returning: `${CLAIMED}, ${LIVE} as begun`,
} as const;

export interface ClaimedRun extends Run {
  config: RunConfig;
  /** Number of its thread's last event, and position of the last message. */
  logEnd: number;
  lastPosition: number;
  begun: boolean;
}

/** A run is read without what never changes and may be large; the lease is nobody's business but its owner's. */
export const RUN_COLUMNS = columns('Run', 'r', ['config', 'metadata', 'owner', 'epoch', 'leaseUntil']);
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
): void {
  const row = { ...run, config, metadata, epoch: leases ? 1 : 0 };
  const until = `now() + $3 * interval '1 millisecond'`;
  const born = leases && {
    name: 'born',
    columns: { owner: '$2', leaseUntil: until },
    values: [leases.owner, leases.leaseMs],
  };
  tx.write(insertRows('Run', [row], born ?? undefined));
}

const SAVE = `update run set status = $2, required_action = $3, last_error = $4, incomplete_reason = $5, usage = $6, attempt = $7,
last_event = $8, started_at = $9, expires_at = $10, completed_at = $11, cancelled_at = $12, failed_at = $13`;

/** Stores a run's change; `released` leaves it to others, or to nobody. */
export function saveRun(tx: Tx, run: Run, lease: 'kept' | 'released'): void {
  tx.write({
    name: `run-save-${lease}`,
    text: `${SAVE}${lease === 'released' ? `, ${RELEASED}` : ''} where id = $1`,
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
    ],
  });
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
