import type { ContentDelta, ToolCallDelta } from '../events/event.ts';
import { mintId } from '../ids.ts';
import type { LlmChunk } from '../llm/llm.ts';
import type { ToolCall } from '../runs/run.ts';
import { type Annotation, applyDeltas, type ContentPart } from '../threads/message.ts';
import type { CodeInterpreterCall, HostedCall } from '../tools/tool.ts';
import { Citations } from './citations.ts';
import { FileLinks } from './file-links.ts';
import { StringReader } from './string-reader.ts';

/**
 * Turns the chunks of one model turn into deltas with their offsets, and keeps what they add up to. Holds back half a
 * surrogate pair until its other half arrives, so that every delta is whole characters, and replaces NUL, which no
 * PostgreSQL text can hold.
 */
export class Accumulator {
  content: ContentPart[] = [];
  readonly calls: ToolCall[] = [];
  /** Characters of text and arguments so far: what an estimate of the tokens goes by. */
  written = '';
  #kept = '';
  #keptArguments: string[] = [];
  #code: { text: StringReader; keep: string }[] = [];
  readonly #hosted: Readonly<Record<string, HostedCall['type']>>;

  #images: readonly string[];
  readonly #citations: Citations;
  readonly #links: FileLinks;

  /**
   * `hosted`: the tools that the server itself has for this run, by the names that the model knows. `images`: ids of
   * those that were drawn since the run last spoke. `citations` and `links`: what the text is looked through for.
   */
  constructor(
    hosted: Readonly<Record<string, HostedCall['type']>> = {},
    images: readonly string[] = [],
    citations = new Citations(),
    links = new FileLinks(),
  ) {
    this.#hosted = hosted;
    this.#images = images;
    this.#citations = citations;
    this.#links = links;
  }

  text(chunk: LlmChunk & { type: 'text' | 'refusal' }): ContentDelta[] {
    const { type } = chunk;
    const [read, kept] = whole(this.#kept + chunk.value);
    this.#kept = kept;
    if (read === '') return [];
    this.written += read;
    if (type === 'refusal') return [...this.flush(), ...this.#extend({ type, value: read })];
    const offset = this.#offset('text');
    const cited = this.#citations.read(read, offset + this.#links.held);
    const { value, annotations } = this.#links.read(cited.value, offset);
    return value === '' ? [] : this.#extend({ type, value, annotations: [...cited.annotations, ...annotations] });
  }

  /** What was held back of a text that is over: the beginning of what did not become a citation or a link. */
  flush(): ContentDelta[] {
    const offset = this.#offset('text');
    const before = this.#links.read(this.#citations.end(), offset);
    const rest = this.#links.end(offset + before.value.length);
    const value = before.value + rest.value;
    const annotations = [...before.annotations, ...rest.annotations];
    return value === '' ? [] : this.#extend({ type: 'text', value, annotations });
  }

  #offset(type: 'text' | 'refusal'): number {
    const last = this.content.at(-1);
    return last?.type === type ? last.value.length : 0;
  }

  #extend(piece: { type: 'text'; value: string; annotations: Annotation[] } | { type: 'refusal'; value: string }) {
    const begun = this.begin();
    const offset = this.#offset(piece.type);
    const index = this.content.at(-1)?.type === piece.type ? this.content.length - 1 : this.content.length;
    const delta: ContentDelta = { ...piece, index, offset };
    applyDeltas(this.content, [delta]);
    return [...begun, delta];
  }

  /** What the turn's first message begins with: the images that were drawn for it. */
  begin(): ContentDelta[] {
    const deltas = this.#images.map((fileId, index): ContentDelta => ({ type: 'imageFile', index, fileId }));
    this.#images = [];
    applyDeltas(this.content, deltas);
    return deltas;
  }

  /** What the message held; the next text begins another. */
  endMessage(): ContentPart[] {
    const { content } = this;
    this.content = [];
    return content;
  }

  toolCall(chunk: LlmChunk & { type: 'toolCall' }): ToolCallDelta[] {
    const { index } = chunk;
    const isNew = !this.calls[index];
    const call = (this.calls[index] ??= this.#newCall(chunk.id, clean(chunk.name ?? '')));
    const [value, kept] = whole((this.#keptArguments[index] ?? '') + chunk.arguments);
    this.#keptArguments[index] = kept;
    if (!isNew && value === '') return [];
    this.calls[index] = { ...call, arguments: call.arguments + value };
    this.written += value;
    const { id, type } = call;
    switch (type) {
      case 'function':
        return [{ type, index, id, name: isNew ? call.name : null, offset: call.arguments.length, arguments: value }];
      case 'codeInterpreter': {
        const [input, offset] = this.#readCode(index, value);
        return isNew || input !== '' ? [{ type, index, id, offset, input, logs: null, imageFileId: null, ended: null }] : [];
      }
      case 'fileSearch':
        return isNew ? [{ type, index, id, ended: null }] : [];
    }
  }

  /** The code that a piece of the arguments has brought, and where it stands. */
  #readCode(index: number, piece: string): [code: string, offset: number] {
    const { text, keep } = (this.#code[index] ??= { text: new StringReader('code'), keep: '' });
    const [code, kept] = whole(keep + text.read(piece));
    this.#code[index]!.keep = kept;
    const call = this.calls[index] as CodeInterpreterCall;
    this.calls[index] = { ...call, input: call.input + code };
    return [code, call.input.length];
  }

  #newCall(modelId: string | null, name: string): ToolCall {
    const call = { id: mintId('ToolCall'), modelId, status: 'IN_PROGRESS', arguments: '' } as const;
    const hosted = this.#hosted[name];
    if (!hosted) return { type: 'function', ...call, name, output: null };
    if (hosted === 'codeInterpreter') return { type: hosted, ...call, failure: null, input: '', outputs: [], files: [] };
    return { type: hosted, ...call, failure: null, queries: [], results: [], rankingOptions: null };
  }
}

const clean = (value: string) => value.replaceAll('\0', '\ufffd');

/** Splits off a high surrogate at the end, whose other half is still to come. */
function whole(value: string): [value: string, kept: string] {
  const last = value.charCodeAt(value.length - 1);
  const cut = last >= 0xd800 && last <= 0xdbff ? value.length - 1 : value.length;
  return [clean(value.slice(0, cut)).toWellFormed(), value.slice(cut)];
}
