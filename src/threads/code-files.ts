import type { Queryable } from '../db/db.ts';
import { readRunResources } from './tool-resources.ts';

/**
 * Ids of the files that the code of a thread's runs may read: those of the assistant and of the thread, and what was
 * attached for the code interpreter to messages of the thread, oldest first. Each once.
 */
export async function readCodeFiles(
  q: Queryable,
  place: { projectId: string; threadId: string; assistantId: string },
): Promise<string[]> {
  const [{ assistant, thread }, attached] = await Promise.all([
    readRunResources(q, place),
    q.query<{ id: string }>({
      name: 'thread-attached-code-files',
      text: `select a.value->>'fileId' as id from message m, jsonb_array_elements(m.attachments) with ordinality a(value, at)
where m.thread_id = $1 and m.project_id = $2 and m.attachments <> '[]' and a.value->'tools' ? 'CODE_INTERPRETER'
order by m.position, a.at`,
      values: [place.threadId, place.projectId],
    }),
  ]);
  const named = [assistant, thread].flatMap((resources) => resources?.codeInterpreter?.fileIds ?? []);
  return [...new Set([...named, ...attached.map(({ id }) => id)])];
}
