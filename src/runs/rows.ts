import type { Queryable, Tx } from '../db/db.ts';
import { columns, insertRows } from '../db/rows.ts';
import type { Run, RunConfig, RunStep } from './run.ts';

/** The only statements that write runs and steps (a run's lease columns are written by src/work). */

/** A run is read without what never changes and may be large; the lease is nobody's business but its owner's. */
export const RUN_COLUMNS = columns('Run', 'r', ['config', 'metadata', 'owner', 'epoch', 'leaseUntil']);
export const STEP_COLUMNS = columns('RunStep', 's');

export function insertRun(tx: Tx, run: Run, config: RunConfig, metadata: Record<string, string>): void {
  tx.write(insertRows('Run', [{ ...run, config, metadata, epoch: 0 }]));
}

export function saveRun(tx: Tx, run: Run): void {
  tx.write({
    name: 'run-save',
    text: `update run set status = $2, required_action = $3, last_error = $4, incomplete_reason = $5, usage = $6, attempt = $7,
last_event = $8, started_at = $9, expires_at = $10, completed_at = $11, cancelled_at = $12, failed_at = $13 where id = $1`,
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
