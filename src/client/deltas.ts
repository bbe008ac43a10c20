import type {
  MessageDeltaEventFragment,
  MessagePartsFragment,
  StepDeltaEventFragment,
  StepPartsFragment,
} from '../generated/graphql/graphql.ts';

type Content = MessagePartsFragment['content'];
type ContentPart = Content[number];
type ContentDelta = MessageDeltaEventFragment['content'][number];
type TextPart = Extract<ContentPart, { __typename: 'TextContent' }>;
type ToolCall = Extract<StepPartsFragment['details'], { __typename: 'ToolCallsDetails' }>['toolCalls'][number];
type CodeCall = Extract<ToolCall, { __typename: 'CodeInterpreterToolCall' }>;
type CallDelta = StepDeltaEventFragment['toolCalls'][number];
type CodeCallDelta = Extract<CallDelta, { __typename: 'CodeInterpreterToolCallDelta' }>;

/** What a message in progress holds behind its deltas. */
export function applyContentDeltas(content: Content, deltas: readonly ContentDelta[]): Content {
  const next = [...content];
  for (const delta of deltas) {
    const part = extended(next[delta.index], delta);
    // Beyond the end stands what was never seen: the message's end brings it whole.
    if (delta.index <= next.length) next[delta.index] = part;
  }
  return next;
}

function extended(part: ContentPart | undefined, delta: ContentDelta): ContentPart {
  switch (delta.__typename) {
    case 'TextDelta': {
      const { value, annotations } = part?.__typename === 'TextContent' ? part : { value: '', annotations: [] };
      return {
        __typename: 'TextContent',
        value: insert(value, delta.offset, delta.value),
        annotations: delta.annotations.length === 0 ? annotations : union(annotations, delta.annotations),
      };
    }
    case 'RefusalDelta': {
      const value = part?.__typename === 'RefusalContent' ? part.value : '';
      return { __typename: 'RefusalContent', value: insert(value, delta.offset, delta.value) };
    }
    case 'ImageFileDelta':
      return { __typename: 'ImageFileContent', fileId: delta.fileId, detail: 'AUTO' };
  }
}

/** What a step in progress holds of its tool calls behind their deltas. */
export function applyCallDeltas(calls: readonly ToolCall[], deltas: readonly CallDelta[]): ToolCall[] {
  const next = [...calls];
  for (const delta of deltas) {
    if (delta.index <= next.length) next[delta.index] = extendedCall(next[delta.index], delta);
  }
  return next;
}

function extendedCall(call: ToolCall | undefined, delta: CallDelta): ToolCall {
  const { id } = delta;
  switch (delta.__typename) {
    case 'FunctionToolCallDelta': {
      const known = call?.__typename === 'FunctionToolCall' ? call : null;
      return {
        __typename: 'FunctionToolCall',
        id,
        status: known?.status ?? 'IN_PROGRESS',
        name: delta.name ?? known?.name ?? '',
        arguments: insert(known?.arguments ?? '', delta.offset, delta.arguments ?? ''),
        output: known?.output ?? null,
      };
    }
    case 'CodeInterpreterToolCallDelta': {
      const known: CodeCall =
        call?.__typename === 'CodeInterpreterToolCall'
          ? call
          : { __typename: 'CodeInterpreterToolCall', id, status: 'IN_PROGRESS', input: '', outputs: [] };
      if (delta.ended) return delta.ended;
      if (delta.input !== null) return { ...known, input: insert(known.input, delta.offset, delta.input) };
      return { ...known, outputs: outputsOf(known, delta) };
    }
    case 'FileSearchToolCallDelta':
      return delta.ended ?? call ?? { __typename: 'FileSearchToolCall', id, status: 'IN_PROGRESS', queries: [], results: [] };
  }
}

/** Logs extend the last output if that is logs, else they open a new one; an image is sent whole. */
function outputsOf({ outputs }: CodeCall, { offset, logs, imageFileId }: CodeCallDelta): CodeCall['outputs'] {
  if (logs !== null) {
    const last = outputs.at(-1);
    if (last?.__typename !== 'CodeInterpreterLogs') return [...outputs, { __typename: 'CodeInterpreterLogs', logs }];
    return [...outputs.slice(0, -1), { ...last, logs: insert(last.logs, offset, logs) }];
  }
  if (imageFileId === null) return outputs;
  const known = outputs.some((output) => output.__typename === 'CodeInterpreterImage' && output.fileId === imageFileId);
  return known ? outputs : [...outputs, { __typename: 'CodeInterpreterImage', fileId: imageFileId }];
}

/** The text parts of a message joined without a separator, as `Message.text` has them. */
export function textOf(content: Content): string {
  let text = '';
  for (const part of content) if (part.__typename === 'TextContent') text += part.value;
  return text;
}

/**
 * `value.slice(0, offset) + delta`, but that what is known already stays, so that text which a query has read ahead of
 * the log does not shrink and grow again; and that nothing is put where what stands before it was never seen.
 */
function insert(value: string, offset: number, delta: string): string {
  if (offset === value.length) return value + delta;
  if (offset > value.length || value.startsWith(delta, offset)) return value;
  return value.slice(0, offset) + delta;
}

function union(known: TextPart['annotations'], more: TextPart['annotations']): TextPart['annotations'] {
  const fresh = more.filter(
    (one) => !known.some(({ startIndex, endIndex }) => startIndex === one.startIndex && endIndex === one.endIndex),
  );
  return [...known, ...fresh];
}
