import type { Purge } from './purge.ts';

/** Things of one step. */
const STEP = 200;

/** One turn of removing what is past its time: steps until there is nothing left, or the signal. */
export async function removeExpiredFiles(files: Purge, signal: AbortSignal): Promise<{ removed: number }> {
  return { removed: await inSteps(signal, () => files.purgeExpired(STEP)) };
}

/** One turn of deleting files that were stored longer ago than `afterMs`, with their bytes. */
export async function removeOldFiles(
  { files, afterMs }: { files: Purge; afterMs: number },
  signal: AbortSignal,
): Promise<{ deleted: number }> {
  const before = new Date(Date.now() - afterMs);
  const deleted = await inSteps(signal, () => files.deleteStoredBefore(before, STEP));
  if (deleted > 0) await removeExpiredFiles(files, signal);
  return { deleted };
}

async function inSteps(signal: AbortSignal, step: () => Promise<number>): Promise<number> {
  let all = 0;
  while (!signal.aborted) {
    const done = await step();
    all += done;
    if (done === 0) break;
  }
  return all;
}
