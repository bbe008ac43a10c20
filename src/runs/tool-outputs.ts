import { InvalidInputError } from '../errors.ts';
import type { Run, RunStep } from './run.ts';

/** Sum of all outputs of one submission, in UTF-8 bytes (reference §6.10). */
export const TOOL_OUTPUTS_BYTES = 512 * 1024;

/** The outputs by the ids of their calls: one for each that is asked for, and no other. */
export function checkOutputs(run: Run, outputs: { toolCallId: string; output: string }[]): Map<string, string> {
  const path = ['input', 'toolOutputs'];
  const expected = run.requiredAction!.toolCalls.map(({ id }) => id);
  const byId = new Map(outputs.map(({ toolCallId, output }) => [toolCallId, output]));
  const quoted = (ids: string[]) => `[${ids.map((id) => `'${id}'`).join(', ')}]`;
  if (byId.size !== outputs.length || byId.size !== expected.length || !expected.every((id) => byId.has(id))) {
    const got = outputs.map(({ toolCallId }) => toolCallId);
    throw new InvalidInputError(`Expected tool outputs for call_ids ${quoted(expected)}, got ${quoted(got)}`, path);
  }
  let bytes = 0;
  for (const output of byId.values()) bytes += Buffer.byteLength(output);
  if (bytes >= TOOL_OUTPUTS_BYTES) {
    throw new InvalidInputError("'tool_outputs' too large: the combined tool outputs must be less than 512kb.", path);
  }
  return byId;
}

/** Whether a step's outputs are these already. */
export function sameOutputs(step: RunStep, outputs: { toolCallId: string; output: string }[]): boolean {
  const calls = (step.toolCalls ?? []).filter((call) => call.type === 'function');
  return (
    calls.length > 0 &&
    calls.length === outputs.length &&
    calls.every((call) => outputs.some(({ toolCallId, output }) => toolCallId === call.id && output === call.output))
  );
}
