import type { Queryable } from '../db/db.ts';
import { decodeBody, type ToolCallDelta } from '../events/event.ts';
import type { FunctionToolCall } from './run.ts';

/** What has been written so far of the calls of steps in progress: their committed deltas, folded. In the order of the ids. */
export async function readPartialToolCalls(
  q: Queryable,
  projectId: string,
  ids: readonly string[],
): Promise<FunctionToolCall[][]> {
  const rows = await q.query<{ payload: string }>({
    name: 'step-deltas',
    text: `select e.payload from run_step s join run r on r.id = s.run_id
join event e on e.thread_id = s.thread_id and e.number > r.first_event and e.type = 'RunStepDelta' and e.run_id = r.id
where s.id = any($1) and s.project_id = $2 order by e.thread_id, e.number`,
    values: [ids, projectId],
  });
  const calls = new Map<string, FunctionToolCall[]>(ids.map((id) => [id, []]));
  for (const { payload } of rows) {
    const body = decodeBody(payload);
    if (body.type !== 'RunStepDelta') continue;
    const step = calls.get(body.stepId);
    if (step) applyCallDeltas(step, body.toolCalls);
  }
  return ids.map((id) => calls.get(id)!);
}

function applyCallDeltas(calls: FunctionToolCall[], deltas: ToolCallDelta[]): void {
  for (const { index, id, name, offset, arguments: value } of deltas) {
    const call = calls[index];
    calls[index] = {
      type: 'function',
      id,
      modelId: null,
      status: 'IN_PROGRESS',
      name: name ?? call?.name ?? '',
      arguments: (call?.arguments ?? '').slice(0, offset) + value,
      output: null,
    };
  }
}
