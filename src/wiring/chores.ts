import type { Config } from '../config.ts';
import type { Db } from '../db/db.ts';
import type { EventLog } from '../events/log.ts';
import { removeExpiredFiles, removeOldFiles } from '../files/file-chores.ts';
import type { Files } from '../files/files.ts';
import { forgetKeys } from '../graphql/idempotency.ts';
import { compactRuns } from '../runs/compaction.ts';
import { removeOldRuns } from '../runs/retention.ts';
import { createIdleThreads, forgetDeletedThreads } from '../threads/retention.ts';
import type { Retrieval } from '../vector-stores/retrieval.ts';
import type { Chore } from '../work/chores.ts';

/** How long a deleted thread is remembered, for readers that come back to it: 30 days. */
const TOMBSTONE_MS = 30 * 86_400_000;

/** What is done periodically on the whole database, by one process at a time. */
export function choresOf(config: Config, db: Db, log: EventLog, files: Files, retrieval: Retrieval): Chore[] {
  const { choresEveryMs: everyMs, logCompactAfterMs, retainRunsMs, retainThreadsMs, retainFilesMs } = config;
  const chore = (name: string, work: Chore['work']): Chore => ({ name, everyMs, work });
  const chores = [
    chore('forget deleted threads', (signal) => forgetDeletedThreads({ db, afterMs: TOMBSTONE_MS }, signal)),
    chore('forget idempotency keys', (signal) => forgetKeys(db, signal)),
    chore('remove expired files', (signal) => removeExpiredFiles(files, signal)),
    ...retrieval.chores.map(({ name, work }) => chore(name, work)),
  ];
  if (logCompactAfterMs !== null) {
    chores.push(chore('compact the log', (signal) => compactRuns({ db, afterMs: logCompactAfterMs }, signal)));
  }
  if (retainRunsMs !== null) {
    chores.push(chore('remove old runs', (signal) => removeOldRuns({ db, afterMs: retainRunsMs }, signal)));
  }
  if (retainThreadsMs !== null) {
    chores.push(chore('delete idle threads', createIdleThreads({ db, log, afterMs: retainThreadsMs })));
  }
  if (retainFilesMs !== null) {
    chores.push(chore('remove old files', (signal) => removeOldFiles({ files, afterMs: retainFilesMs }, signal)));
  }
  return chores;
}
