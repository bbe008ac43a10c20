const FINAL = new Set<string>(['CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED']);

/** Whether a run in this status has ended. */
export const isFinal = (status: string): boolean => FINAL.has(status);
