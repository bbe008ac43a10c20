import type { RunEvent, ThreadEvent } from './watch.ts';

/**
 * A sequence of events in words, one line each. How many deltas a text comes in is not promised, so those that follow
 * each other are told as one.
 */
export function shapeOf(events: readonly (RunEvent | ThreadEvent)[]): string[] {
  const lines: string[] = [];
  let text: string | null = null;
  let calls: { name: string; arguments: string }[] | null = null;
  const flush = () => {
    if (text !== null) lines.push(`MessageDelta ${text}`);
    if (calls !== null) lines.push(`RunStepDelta ${calls.map((call) => `${call.name}(${call.arguments})`).join(' ')}`);
    text = calls = null;
  };
  for (const event of events) {
    if (event.__typename === 'MessageDelta') {
      for (const part of event.content) if (part.__typename !== 'ImageFileDelta') text = (text ?? '') + part.value;
      continue;
    }
    if (event.__typename === 'RunStepDelta') {
      calls ??= [];
      for (const call of event.toolCalls) {
        if (call.__typename !== 'FunctionToolCallDelta') throw new Error(`no words for a ${call.__typename}`);
        const known = (calls[call.index] ??= { name: '', arguments: '' });
        known.name += call.name ?? '';
        known.arguments += call.arguments ?? '';
      }
      continue;
    }
    flush();
    lines.push(line(event));
  }
  flush();
  return lines;
}

function line(event: Exclude<RunEvent | ThreadEvent, { __typename: 'MessageDelta' | 'RunStepDelta' }>): string {
  const { __typename } = event;
  switch (event.__typename) {
    case 'RunStatusChanged':
      return `${__typename} ${event.status}`;
    case 'RunStepCreated':
      return `${__typename} ${event.step.type}`;
    case 'RunStepFinished':
      return `${__typename} ${event.step.status}`;
    case 'MessageCreated':
      return `${__typename} ${event.message.role}`;
    case 'MessageFinished': {
      const { status, incompleteDetails } = event.message;
      return [__typename, status, incompleteDetails?.reason].filter(Boolean).join(' ');
    }
    default:
      return __typename;
  }
}
