import type { Queryable } from '../db/db.ts';
import type { RunConfig } from './run.ts';

/** What a run was started with, and its metadata: the part of a run that no event tells of. */
export interface RunSettings {
  config: RunConfig;
  metadata: Record<string, string>;
}

/** In the order of the ids; null for what is not there. */
export async function readSettings(
  q: Queryable,
  projectId: string,
  ids: readonly string[],
): Promise<(RunSettings | null)[]> {
  const rows = await q.query<RunSettings & { id: string }>({
    name: 'run-settings',
    text: 'select id, config, metadata from run where id = any($1) and project_id = $2',
    values: [ids, projectId],
  });
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => found.get(id) ?? null);
}
