import type { Queryable } from '../db/db.ts';
import { decodeBody } from '../events/event.ts';
import { applyDeltas, type ContentPart } from './message.ts';

/** What has been written so far of messages in progress: their committed deltas, folded. In the order of the ids. */
export async function readPartialContents(
  q: Queryable,
  projectId: string,
  ids: readonly string[],
): Promise<ContentPart[][]> {
  const rows = await q.query<{ payload: string }>({
    name: 'message-deltas',
    text: `select e.payload from message m join run r on r.id = m.run_id
join event e on e.thread_id = m.thread_id and e.number > r.first_event and e.type = 'MessageDelta' and e.run_id = r.id
where m.id = any($1) and m.project_id = $2 order by e.thread_id, e.number`,
    values: [ids, projectId],
  });
  const contents = new Map<string, ContentPart[]>(ids.map((id) => [id, []]));
  for (const { payload } of rows) {
    const body = decodeBody(payload);
    if (body.type !== 'MessageDelta') continue;
    const content = contents.get(body.messageId);
    if (content) applyDeltas(content, body.content);
  }
  return ids.map((id) => contents.get(id)!);
}
