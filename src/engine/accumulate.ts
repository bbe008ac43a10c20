import type { ContentDelta, ToolCallDelta } from '../events/event.ts';
import { mintId } from '../ids.ts';
import type { LlmChunk } from '../llm/llm.ts';
import type { FunctionToolCall } from '../runs/run.ts';
import { applyDeltas, type ContentPart } from '../threads/message.ts';

/**
 * Turns the chunks of one model turn into deltas with their offsets, and keeps what they add up to. Holds back half a
 * surrogate pair until its other half arrives, so that every delta is whole characters, and replaces NUL, which no
 * PostgreSQL text can hold.
 */
export class Accumulator {
  content: ContentPart[] = [];
  readonly calls: FunctionToolCall[] = [];
  /** Characters of text and arguments so far: what an estimate of the tokens goes by. */
  written = '';
  #kept = '';
  #keptArguments: string[] = [];

  text(chunk: LlmChunk & { type: 'text' | 'refusal' }): ContentDelta[] {
    const { type } = chunk;
    const [value, kept] = whole(this.#kept + chunk.value);
    this.#kept = kept;
    if (value === '') return [];
    this.written += value;
    const last = this.content.at(-1);
    const goesOn = last?.type === type;
    const index = goesOn ? this.content.length - 1 : this.content.length;
    const offset = goesOn ? last.value.length : 0;
    const delta: ContentDelta =
      type === 'text' ? { type, index, offset, value, annotations: [] } : { type, index, offset, value };
    applyDeltas(this.content, [delta]);
    return [delta];
  }

  /** What the message held; the next text begins another. */
  endMessage(): ContentPart[] {
    const { content } = this;
    this.content = [];
    return content;
  }

  toolCall(chunk: LlmChunk & { type: 'toolCall' }): ToolCallDelta[] {
    const { index } = chunk;
    let call = this.calls[index];
    const isNew = !call;
    if (!call) {
      call = {
        type: 'function',
        id: mintId('ToolCall'),
        modelId: chunk.id,
        status: 'IN_PROGRESS',
        name: clean(chunk.name ?? ''),
        arguments: '',
        output: null,
      };
      this.calls[index] = call;
    }
    const [value, kept] = whole((this.#keptArguments[index] ?? '') + chunk.arguments);
    this.#keptArguments[index] = kept;
    if (!isNew && value === '') return [];
    const offset = call.arguments.length;
    this.calls[index] = { ...call, arguments: call.arguments + value };
    this.written += value;
    return [{ type: 'function', index, id: call.id, name: isNew ? call.name : null, offset, arguments: value }];
  }
}

const clean = (value: string) => value.replaceAll('\0', '\ufffd');

/** Splits off a high surrogate at the end, whose other half is still to come. */
function whole(value: string): [value: string, kept: string] {
  const last = value.charCodeAt(value.length - 1);
  const cut = last >= 0xd800 && last <= 0xdbff ? value.length - 1 : value.length;
  return [clean(value.slice(0, cut)).toWellFormed(), value.slice(cut)];
}
