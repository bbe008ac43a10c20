import type { Queryable } from '../db/db.ts';
import { NO_USAGE, type Usage } from '../usage/usage.ts';

/** What the final runs of threads took, in the order of the threads' ids. */
export async function readUsages(q: Queryable, projectId: string, threadIds: readonly string[]): Promise<Usage[]> {
  const sum = (field: keyof Usage) => `sum((usage->>'${field}')::bigint)::float8 as "${field}"`;
  const fields = Object.keys(NO_USAGE) as (keyof Usage)[];
  const rows = await q.query<Usage & { threadId: string }>({
    name: 'thread-usage',
    text: `select thread_id as "threadId", ${fields.map(sum).join(', ')} from run
where thread_id = any($1) and project_id = $2 and usage is not null group by thread_id`,
    values: [threadIds, projectId],
  });
  const found = new Map(rows.map(({ threadId, ...usage }) => [threadId, usage]));
  return threadIds.map((id) => found.get(id) ?? NO_USAGE);
}
