import { createHash } from 'node:crypto';
import type { LlmFunction, LlmMessage, LlmRequest } from './llm.ts';
import { fillSchema, wordsOf } from './fill-schema.ts';
import { quotedAnswer } from './offline-search.ts';

export type OfflineReply =
  | { type: 'text'; pieces: Iterable<string> }
  | { type: 'calls'; calls: { id: string; name: string; arguments: string }[] };

const NAME = "I am Skein's offline model, not a language model.";
/** Characters of a tool's result or a user's message that are quoted back. */
const QUOTE_LIMIT = 500;
const WORDS_LIMIT = 100_000;

const WRITE = /\bwrite (?:me )?(\d{1,9}) words\b/i;
const COUNT = /\bcount (?:up )?to (\d{1,9})\b/i;
const REPEAT = /^\s*(?:please\s+)?(?:repeat after me|repeat|say|echo)\b\s*:?\s*(\S[\s\S]*)$/i;
const SEARCH = 'file_search';
const INTERPRETER = 'code_interpreter';
const FENCED = /^```(?:python|py)[ \t]*\n([\s\S]*?)^```/m;

/** What the built-in model answers: a pure function of the request. */
export function offlineReply(request: LlmRequest): OfflineReply {
  const asked = lastUserText(request.messages);
  const calls = callsOf(request, asked);
  if (calls.length > 0) return { type: 'calls', calls };
  const { responseFormat: format, messages } = request;
  if (format.type === 'json_schema') return text(JSON.stringify(fillSchema(format.schema, asked, asked), null, 1));
  if (format.type === 'json_object') {
    return text(JSON.stringify({ note: NAME, youSaid: asked, messages: messages.length }, null, 1));
  }
  if (messages.at(-1)?.role === 'tool') return text(`${NAME} ${toolAnswer(messages, asked)}`);
  return plainAnswer(request, asked);
}

function text(value: string): OfflineReply {
  return { type: 'text', pieces: piecesOf(value) };
}

/** A text as its words, each with the white space around it. */
function piecesOf(value: string): string[] {
  return value.match(/^\s*\S+\s*|\S+\s*/g) ?? (value === '' ? [] : [value]);
}

function plainAnswer(request: LlmRequest, asked: string): OfflineReply {
  const words = WRITE.exec(asked)?.[1];
  if (words !== undefined) return { type: 'text', pieces: after(NAME, numbered(Number(words), 'word')) };
  const count = COUNT.exec(asked)?.[1];
  if (count !== undefined) return { type: 'text', pieces: after(NAME, numbered(Number(count), '')) };
  const repeat = REPEAT.exec(asked)?.[1];
  if (repeat !== undefined)
    return text(`${NAME} ${/^(["'“]).*["'”]\s*$/s.test(repeat) ? repeat.trim().slice(1, -1) : repeat}`);
  const said = asked.trim() === '' ? 'You said nothing that I can read.' : `You said: ${quote(asked)}`;
  const names = request.tools.map((tool) => tool.name).join(', ');
  const offer = names === '' ? '' : ` Name one of the functions ${names} and I call it.`;
  return text(
    `${NAME} ${said} I see ${census(request.messages)}. I can repeat ("repeat after me: ..."), count ("count to 10") ` +
      `and write ("write 50 words").${offer} Connect a model server for real answers.`,
  );
}

function* after(opening: string, pieces: Iterable<string>): Generator<string, void, undefined> {
  yield* piecesOf(`${opening} `);
  yield* pieces;
}

function* numbered(count: number, word: string): Generator<string, void, undefined> {
  const end = Math.min(count, WORDS_LIMIT);
  for (let at = 1; at <= end; at++) yield `${word}${at}${at === end ? '' : ' '}`;
}

/** How many messages of each role, in words: "3 messages (1 system, 1 user, 1 assistant)". */
function census(messages: readonly LlmMessage[]): string {
  const roles = new Map<string, number>();
  for (const { role } of messages) roles.set(role, (roles.get(role) ?? 0) + 1);
  const parts = [...roles].map(([role, count]) => `${count} ${role}`).join(', ');
  return `${messages.length} message${messages.length === 1 ? '' : 's'} (${parts})`;
}

function toolAnswer(messages: readonly LlmMessage[], asked: string): string {
  const calls = messages.flatMap((message) => (message.role === 'assistant' ? message.toolCalls : []));
  const names = new Map(calls.map((call) => [call.id, call.name]));
  const start = messages.findLastIndex((message) => message.role !== 'tool') + 1;
  const results = messages.slice(start).filter((message) => message.role === 'tool');
  const found = results.filter(({ toolCallId }) => names.get(toolCallId) === SEARCH).map(({ content }) => content);
  const quoted = quotedAnswer(found, asked);
  const others = results.filter(({ toolCallId }) => quoted === null || names.get(toolCallId) !== SEARCH);
  return [
    ...(quoted === null ? [] : [quoted]),
    ...others.map(({ toolCallId, content }) => `${names.get(toolCallId) ?? 'A function'} answered: ${quote(content)}`),
  ].join(' ');
}

function quote(value: string): string {
  const cut = value.length > QUOTE_LIMIT ? `${value.slice(0, QUOTE_LIMIT)}…` : value;
  return `"${cut}".`;
}

function callsOf(request: LlmRequest, asked: string): { id: string; name: string; arguments: string }[] {
  const { tools, toolChoice, messages } = request;
  if (tools.length === 0 || toolChoice === 'none') return [];
  const named = typeof toolChoice === 'object' ? toolChoice.name : null;
  const must = toolChoice === 'required' ? tools : null;
  const forced = named === null ? must : tools.filter((tool) => tool.name === named);
  // Results at the end are to be answered, not asked for again.
  if (forced === null && messages.at(-1)?.role === 'tool') return [];
  const ran = codeCall(forced ?? tools, asked);
  let mentions = ran ? [] : mentionsOf(forced ?? tools, asked);
  if (!ran && mentions.length === 0 && forced?.[0] !== undefined) mentions = [{ tool: forced[0], said: asked }];
  // Whoever has files is answered from them, without naming the search.
  const search = tools.find(({ name }) => name === SEARCH);
  if (!ran && mentions.length === 0 && search && /[\p{L}\p{N}]/u.test(asked) && ![WRITE, COUNT, REPEAT].some((order) => order.test(asked)))
    mentions = [{ tool: search, said: asked }];
  const calls = mentions.map(({ tool, said }) => {
    const filled = JSON.stringify(fillSchema(tool.parameters, said, asked));
    return { name: tool.name, arguments: filled };
  });
  if (ran) calls.push(ran);
  const distinct = [...new Map(calls.map((call) => [`${call.name} ${call.arguments}`, call])).values()];
  if (!request.parallelToolCalls || named !== null) distinct.length = Math.min(1, distinct.length);
  const turn = createHash('sha256').update(JSON.stringify(messages)).digest('hex').slice(0, 20);
  return distinct.map((call, at) => ({ id: `call_${turn}${at}`, ...call }));
}

/** Python that the user has put into a fenced block is run where there is something to run it. */
function codeCall(tools: readonly LlmFunction[], asked: string): { name: string; arguments: string } | null {
  const code = FENCED.exec(asked)?.[1];
  const interpreter = tools.find(({ name }) => name === INTERPRETER);
  return code !== undefined && interpreter ? { name: INTERPRETER, arguments: JSON.stringify({ code }) } : null;
}

/** Every function that the text names, in order, each with the words up to the next name. */
function mentionsOf(tools: readonly LlmFunction[], asked: string): { tool: LlmFunction; said: string }[] {
  const found = tools.flatMap((tool) => {
    const spelled = wordsOf(tool.name).join('[\\s_-]*');
    if (spelled === '') return [];
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}_-])${spelled}(?![\\p{L}\\p{N}]|[_-][\\p{L}\\p{N}])`, 'giu');
    return [...asked.matchAll(pattern)].map(({ 0: name, index }) => ({ tool, start: index, end: index + name.length }));
  });
  // "file search" names file_search and not also search.
  type Span = (typeof found)[number];
  const length = (span: Span): number => span.end - span.start;
  const holds = (a: Span, b: Span): boolean => a.start <= b.start && a.end >= b.end && length(a) > length(b);
  const outer = found.filter((inner) => !found.some((other) => holds(other, inner)));
  outer.sort((a, b) => a.start - b.start);
  return outer.map(({ tool, end }, at) => ({ tool, said: asked.slice(end, outer[at + 1]?.start) }));
}

function lastUserText(messages: readonly LlmMessage[]): string {
  const message = messages.findLast((candidate) => candidate.role === 'user');
  if (message === undefined) return '';
  return message.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}
