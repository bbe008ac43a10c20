import type { Queryable } from '../db/db.ts';
import { decodeBody, type ToolCallDelta } from '../events/event.ts';
import type { CodeInterpreterCall, HostedCall } from '../tools/tool.ts';
import type { FunctionToolCall, ToolCall } from './run.ts';

/**
 * The calls of steps in progress as far as they are: what is stored of those that are being made, and the committed
 * deltas folded for what is not in their row. In the order of the ids.
 */
export async function readPartialToolCalls(
  q: Queryable,
  projectId: string,
  ids: readonly string[],
): Promise<ToolCall[][]> {
  const [steps, deltas] = await Promise.all([
    q.query<{ id: string; toolCalls: ToolCall[] | null }>({
      name: 'step-calls',
      text: `select id, tool_calls as "toolCalls" from run_step where id = any($1) and project_id = $2`,
      values: [ids, projectId],
    }),
    q.query<{ payload: string }>({
      name: 'step-deltas',
      text: `select e.payload from run_step s join run r on r.id = s.run_id
join event e on e.thread_id = s.thread_id and e.number > r.first_event and e.type = 'RunStepDelta' and e.run_id = r.id
where s.id = any($1) and s.project_id = $2 order by e.thread_id, e.number`,
      values: [ids, projectId],
    }),
  ]);
  const calls = new Map<string, ToolCall[]>(ids.map((id) => [id, []]));
  for (const { payload } of deltas) {
    const body = decodeBody(payload);
    if (body.type !== 'RunStepDelta') continue;
    const step = calls.get(body.stepId);
    for (const delta of step ? body.toolCalls : []) step![delta.index] = extended(step![delta.index], delta);
  }
  for (const { id, toolCalls } of steps) {
    // A call's arguments are in its row once its turn is committed; what it has brought so far is in the log.
    if (toolCalls) calls.set(id, toolCalls.map((call, i) => withOutputs(call, calls.get(id)?.[i])));
  }
  return ids.map((id) => calls.get(id)!);
}

function withOutputs(stored: ToolCall, folded: ToolCall | undefined): ToolCall {
  if (stored.type !== 'codeInterpreter' || stored.status !== 'IN_PROGRESS') return stored;
  return folded?.type === 'codeInterpreter' ? { ...stored, outputs: folded.outputs } : stored;
}

function extended(call: ToolCall | undefined, delta: ToolCallDelta): ToolCall {
  const bare = { id: delta.id, modelId: null, status: 'IN_PROGRESS', arguments: '', failure: null } as const;
  switch (delta.type) {
    case 'function': {
      const known = call as FunctionToolCall | undefined;
      return {
        type: 'function',
        id: delta.id,
        modelId: null,
        status: 'IN_PROGRESS',
        name: delta.name ?? known?.name ?? '',
        arguments: (known?.arguments ?? '').slice(0, delta.offset) + delta.arguments,
        output: null,
      };
    }
    case 'codeInterpreter': {
      if (delta.ended) return delta.ended as HostedCall;
      const known = (call as CodeInterpreterCall | undefined) ?? { type: delta.type, ...bare, input: '', outputs: [], files: [] };
      if (delta.input !== null) return { ...known, input: known.input.slice(0, delta.offset) + delta.input };
      return { ...known, outputs: outputsOf(known, delta) };
    }
    case 'fileSearch':
      if (delta.ended) return delta.ended as HostedCall;
      return call ?? { type: delta.type, ...bare, queries: [], results: [], rankingOptions: null };
  }
}

/** Logs extend the last output if that is logs, else they open a new one. */
function outputsOf(
  { outputs }: CodeInterpreterCall,
  { offset, logs, imageFileId }: ToolCallDelta & { type: 'codeInterpreter' },
): CodeInterpreterCall['outputs'] {
  const last = outputs.at(-1);
  if (logs !== null && last?.type === 'logs') {
    return [...outputs.slice(0, -1), { type: 'logs', logs: last.logs.slice(0, offset) + logs }];
  }
  if (logs !== null) return [...outputs, { type: 'logs', logs }];
  return imageFileId === null ? outputs : [...outputs, { type: 'image', fileId: imageFileId }];
}
