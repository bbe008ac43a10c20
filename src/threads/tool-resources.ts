import type { ToolResources } from '../assistants/settings.ts';
import type { Queryable } from '../db/db.ts';

/** What the hosted tools of a run work on: its assistant's resources and its thread's. */
export interface RunResources {
  assistant: ToolResources | null;
  thread: ToolResources | null;
}

interface Place {
  projectId: string;
  threadId: string;
  assistantId: string;
}

/** Reads them as of now: null for an assistant or a thread that is deleted. */
export async function readRunResources(q: Queryable, { projectId, threadId, assistantId }: Place): Promise<RunResources> {
  const [row] = await q.query<RunResources>({
    name: 'run-resources',
    text: `select (select tool_resources from assistant where id = $1 and project_id = $3) as assistant,
(select tool_resources from thread where id = $2 and project_id = $3 and deleted_at is null) as thread`,
    values: [assistantId, threadId, projectId],
  });
  return row!;
}

/** Ids of the vector stores that file search looks through. */
export async function readSearchedStores(q: Queryable, place: Place): Promise<{ assistant: string[]; thread: string[] }> {
  const { assistant, thread } = await readRunResources(q, place);
  const idsOf = (resources: ToolResources | null): string[] => resources?.fileSearch?.vectorStoreIds ?? [];
  return { assistant: idsOf(assistant), thread: idsOf(thread) };
}
