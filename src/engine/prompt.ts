import type { LlmContentPart, LlmFunction, LlmMessage, LlmRequest } from '../llm/llm.ts';
import type { HeldRun } from '../runs/held-run.ts';
import type { RunConfig, RunStep, ToolCall } from '../runs/run.ts';
import type { ContentPart, Message } from '../threads/message.ts';
import { type HostedCall, HOSTED_NAMES, type HostedTool, type HostedTools } from '../tools/tool.ts';
import { hostedOf } from './call-tools.ts';
import { type ReadImage, storedImage, withImages } from './prompt-images.ts';
import { tokenBound, tokenCounter } from './tokens.ts';

export interface Prompt {
  request: LlmRequest;
  /** Messages of the thread that truncation left out. */
  dropped: number;
}

/** Part of the context that is left free: the count is an estimate for models with another tokenizer. */
const MARGIN = 0.1;
/** Tokens a message takes beside its text, and an image in each detail (OpenAI's figures). */
const MESSAGE_TOKENS = 4;
const IMAGE_TOKENS = { LOW: 85, AUTO: 1105, HIGH: 1105 };

/**
 * The prompt of a run's next turn: its instructions, the thread's messages cut by its truncation strategy, and whole
 * what the run itself has said, called and been told so far. Tool traffic of earlier runs does not enter.
 * Null when what cannot be cut is too long by itself. `shrink` below 1 is for a prompt that the server found too long
 * whatever we had counted: only that part of it is kept.
 */
export async function buildPrompt(
  held: HeldRun,
  tools: HostedTools,
  contextTokens: number,
  shrink: number,
  readImage: ReadImage,
): Promise<Prompt | null> {
  const { config, usage } = held;
  const history = await held.history();
  const fixed: LlmMessage[] = config.instructions === '' ? [] : [{ role: 'system', content: config.instructions }];
  const own = ownMessages(held.steps, history.own, tools);
  const functions = declared(config, tools);
  const said = history.messages.flatMap((message) => promptMessage(message) ?? []);

  const promptBudget = config.maxPromptTokens === null ? Infinity : config.maxPromptTokens - usage.promptTokens;
  const budget = Math.floor(Math.min(promptBudget, contextTokens * (1 - MARGIN)));
  const kept = await fit([...fixed, ...own], said, JSON.stringify(functions), budget, shrink);
  if (!kept) return null;
  const remaining = config.maxCompletionTokens === null ? null : config.maxCompletionTokens - usage.completionTokens;
  return {
    request: {
      model: config.model,
      messages: await withImages([...fixed, ...kept, ...own], held.run.projectId, readImage),
      tools: functions,
      toolChoice: toolChoice(config, held.steps.length === 0),
      parallelToolCalls: config.parallelToolCalls,
      responseFormat: responseFormat(config),
      temperature: config.temperature,
      topP: config.topP,
      reasoningEffort: config.reasoningEffort?.toLowerCase() ?? null,
      maxCompletionTokens: remaining,
    },
    dropped: history.older + said.length - kept.length,
  };
}

/** What the model may call: the caller's functions, and the hosted tools that this server has. */
function declared(config: RunConfig, tools: HostedTools): LlmFunction[] {
  const hosted = hostedOf(config, tools);
  return [
    ...Object.values(hosted).map((type) => ({ ...tools[type]!.definition, strict: false })),
    ...config.tools.flatMap((tool) => {
      if (tool.type !== 'function') return [];
      const { name, description, parameters, strict } = tool;
      return [{ name, description, parameters, strict }];
    }),
  ];
}

/**
 * Keeps what fits: the newest messages, and the first of the thread when there is room for it, so that what is left
 * out is in the middle. Nothing is counted while a bound on the tokens says that all of it fits.
 */
async function fit(
  always: LlmMessage[],
  said: LlmMessage[],
  tools: string,
  budget: number,
  shrink: number,
): Promise<LlmMessage[] | null> {
  const all = [...always, ...said];
  const sizeBy = (count: (text: string) => number) =>
    all.reduce((sum, message) => sum + tokensOf(message, count), count(tools));
  if (shrink === 1 && sizeBy(tokenBound) <= budget) return said;
  const count = await tokenCounter();
  const limit = shrink === 1 ? budget : Math.floor(Math.min(budget, sizeBy(count)) * shrink);
  let left = limit - always.reduce((sum, message) => sum + tokensOf(message, count), count(tools));
  if (left < 0) return null;
  const [first, ...rest] = said;
  if (!first) return said;
  const sizes = rest.map((message) => tokensOf(message, count));
  const firstSize = tokensOf(first, count);
  const newest = sizes.at(-1) ?? firstSize;
  if (newest > left) return null;
  const keepFirst = rest.length > 0 && firstSize + newest <= left;
  if (keepFirst) left -= firstSize;
  let start = rest.length;
  while (start > 0 && sizes[start - 1]! <= left) left -= sizes[--start]!;
  if (rest.length === 0) return [first];
  return keepFirst || (start === 0 && firstSize <= left) ? [first, ...rest.slice(start)] : rest.slice(start);
}

function tokensOf(message: LlmMessage, count: (text: string) => number): number {
  let tokens = MESSAGE_TOKENS;
  if (typeof message.content === 'string') tokens += count(message.content);
  else {
    for (const part of message.content) {
      tokens +=
        part.type === 'text' ? count(part.text) : IMAGE_TOKENS[part.detail.toUpperCase() as keyof typeof IMAGE_TOKENS];
    }
  }
  if (message.role === 'assistant')
    for (const call of message.toolCalls) tokens += count(call.name) + count(call.arguments);
  return tokens;
}

function promptMessage(message: Message): LlmMessage | null {
  const content = contentParts((message.content ?? []).map(withoutMarkers));
  if (content.length === 0) return null;
  return message.role === 'USER' ? { role: 'user', content } : { role: 'assistant', content, toolCalls: [] };
}

/** Markers of earlier runs name results that this one does not have: a model would repeat them. */
function withoutMarkers(part: ContentPart): ContentPart {
  if (part.type !== 'text') return part;
  const cited = part.annotations.filter(({ type }) => type === 'fileCitation');
  const value = cited.reduceRight((text, { startIndex, endIndex }) => text.slice(0, startIndex) + text.slice(endIndex), part.value);
  return { ...part, value };
}

function contentParts(content: ContentPart[]): LlmContentPart[] {
  return content.flatMap((part): LlmContentPart[] => {
    switch (part.type) {
      case 'text':
        return part.value === '' ? [] : [{ type: 'text', text: part.value }];
      case 'refusal':
        return part.value === '' ? [] : [{ type: 'text', text: part.value }];
      case 'imageUrl':
        return [{ type: 'imageUrl', url: part.url, detail: part.detail.toLowerCase() as 'auto' | 'low' | 'high' }];
      case 'imageFile':
        return [storedImage(part.fileId, part.detail.toLowerCase() as 'auto' | 'low' | 'high')];
    }
  });
}

/** What the run itself has added: a turn's message and its calls are one assistant message, then the outputs. */
function ownMessages(steps: readonly RunStep[], messages: Message[], tools: HostedTools): LlmMessage[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const turns = new Map<number, { content: LlmContentPart[]; calls: ToolCall[] }>();
  for (const step of steps) {
    const turn = turns.get(step.turn) ?? { content: [], calls: [] };
    turns.set(step.turn, turn);
    const message = step.messageId ? byId.get(step.messageId) : undefined;
    turn.content.push(...contentParts(message?.content ?? []));
    turn.calls.push(...(step.toolCalls ?? []));
  }
  let searches = 0;
  return [...turns.values()].flatMap(({ content, calls }): LlmMessage[] => {
    const ids = wireIds(calls);
    if (content.length === 0 && calls.length === 0) return [];
    return [
      {
        role: 'assistant',
        content,
        toolCalls: calls.map((call, i) => ({ id: ids[i]!, name: nameOf(call), arguments: call.arguments })),
      },
      ...calls.map((call, i) => ({ role: 'tool' as const, toolCallId: ids[i]!, content: answerTo(call, tools, call.type === 'fileSearch' ? searches++ : 0) })),
    ];
  });
}

const nameOf = (call: ToolCall): string =>
  call.type === 'function' ? call.name : Object.keys(HOSTED_NAMES).find((name) => HOSTED_NAMES[name] === call.type)!;

function answerTo(call: ToolCall, tools: HostedTools, ordinal: number): string {
  if (call.type === 'function') return call.output ?? '';
  const tool = tools[call.type] as HostedTool<HostedCall> | null;
  return tool?.answer(call, ordinal) ?? call.failure ?? '';
}

/** The model server's own names of a turn's calls where they tell them apart (some insist on their form), else ours. */
function wireIds(calls: ToolCall[]): string[] {
  const theirs = calls.map(({ modelId }) => modelId ?? '');
  return new Set(theirs).size === calls.length && !theirs.includes('') ? theirs : calls.map(({ id }) => id);
}

/** What forces a call holds for the first turn only, or the run would call for ever. */
function toolChoice({ toolChoice }: RunConfig, first: boolean): LlmRequest['toolChoice'] {
  if (!first && toolChoice.type !== 'NONE') return 'auto';
  switch (toolChoice.type) {
    case 'NONE':
      return 'none';
    case 'REQUIRED':
      return 'required';
    case 'FUNCTION':
      return { name: toolChoice.name };
    case 'CODE_INTERPRETER':
      return { name: 'code_interpreter' };
    case 'FILE_SEARCH':
      return { name: 'file_search' };
    case 'AUTO':
      return 'auto';
  }
}

function responseFormat({ responseFormat: format }: RunConfig): LlmRequest['responseFormat'] {
  if (format.type === 'JSON_SCHEMA') {
    const { name, description, schema, strict } = format;
    return { type: 'json_schema', name, description, schema, strict };
  }
  return { type: ({ AUTO: 'auto', TEXT: 'text', JSON_OBJECT: 'json_object' } as const)[format.type] };
}
