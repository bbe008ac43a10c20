/**
 * What a run may become, as a table. Every change of a run's status is one of these, is written by whoever holds the
 * run's thread, and stands in the thread's log (reference: Assistants v2, run lifecycle).
 */
export const RUN_STATUSES = [
  'QUEUED',
  'IN_PROGRESS',
  'REQUIRES_ACTION',
  'CANCELLING',
  'CANCELLED',
  'FAILED',
  'COMPLETED',
  'INCOMPLETE',
  'EXPIRED',
] as const;

export type RunStatus = (typeof RUN_STATUSES)[number];

const AFTER: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  QUEUED: ['IN_PROGRESS', 'CANCELLING', 'FAILED', 'EXPIRED'],
  // IN_PROGRESS again: another worker takes the run over.
  IN_PROGRESS: ['IN_PROGRESS', 'REQUIRES_ACTION', 'CANCELLING', 'COMPLETED', 'INCOMPLETE', 'FAILED', 'EXPIRED'],
  REQUIRES_ACTION: ['QUEUED', 'CANCELLING', 'EXPIRED'],
  // Cancellation is attempted, not guaranteed: a run may have ended before it took hold.
  CANCELLING: ['CANCELLED', 'COMPLETED', 'INCOMPLETE', 'FAILED', 'EXPIRED'],
  CANCELLED: [],
  FAILED: [],
  COMPLETED: [],
  INCOMPLETE: [],
  EXPIRED: [],
};

export const mayBecome = (from: RunStatus, to: RunStatus): boolean => AFTER[from].includes(to);

/** The statuses from which a run may become `to`. */
export const before = (to: RunStatus): RunStatus[] => RUN_STATUSES.filter((from) => mayBecome(from, to));

export const isFinal = (status: RunStatus): boolean => AFTER[status].length === 0;
