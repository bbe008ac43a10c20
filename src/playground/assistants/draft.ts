import type { AssistantPartsFragment, CreateAssistantInput, ReasoningEffort, ResponseFormatType, ToolInput } from 'skein/client';
import { readJson } from '../parts/json-text.ts';
import { jsonOf, type Pair, pairsOf, pairsProblem } from '../parts/pairs.ts';

export interface FunctionDraft {
  readonly key: number;
  readonly name: string;
  readonly description: string;
  /** JSON Schema as a text; empty: it takes nothing. */
  readonly parameters: string;
  readonly strict: boolean;
}

/** An assistant as it stands in the form: numbers and schemas are the texts that were typed, '' is "not set". */
export interface Draft {
  readonly name: string;
  readonly description: string;
  readonly instructions: string;
  readonly model: string;
  readonly temperature: string;
  readonly topP: string;
  readonly reasoningEffort: ReasoningEffort | '';
  readonly format: ResponseFormatType;
  readonly schemaName: string;
  readonly schemaDescription: string;
  readonly schema: string;
  readonly schemaStrict: boolean;
  readonly codeInterpreter: boolean;
  readonly timeoutSeconds: string;
  readonly fileIds: readonly string[];
  readonly fileSearch: boolean;
  readonly maxNumResults: string;
  readonly scoreThreshold: string;
  readonly storeIds: readonly string[];
  readonly functions: readonly FunctionDraft[];
  readonly metadata: readonly Pair[];
}

/** What is wrong with a field: `path` as the server names it, without `input`. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

export const newDraft = (model: string): Draft => ({
  name: '',
  description: '',
  instructions: '',
  model,
  temperature: '',
  topP: '',
  reasoningEffort: '',
  format: 'AUTO',
  schemaName: '',
  schemaDescription: '',
  schema: '',
  schemaStrict: false,
  codeInterpreter: false,
  timeoutSeconds: '',
  fileIds: [],
  fileSearch: false,
  maxNumResults: '',
  scoreThreshold: '',
  storeIds: [],
  functions: [],
  metadata: [],
});

const textOf = (value: number | null | undefined): string => (value == null ? '' : String(value));
const writtenOf = (json: unknown): string => (json == null ? '' : JSON.stringify(json, null, 2));

export function draftOf(assistant: AssistantPartsFragment): Draft {
  const { tools, toolResources, responseFormat } = assistant;
  const code = tools.find((tool) => tool.__typename === 'CodeInterpreterTool');
  const search = tools.find((tool) => tool.__typename === 'FileSearchTool');
  const functions = tools.filter((tool) => tool.__typename === 'FunctionTool');
  const { jsonSchema } = responseFormat;
  return {
    name: assistant.name ?? '',
    description: assistant.description ?? '',
    instructions: assistant.instructions ?? '',
    model: assistant.model,
    temperature: textOf(assistant.temperature),
    topP: textOf(assistant.topP),
    reasoningEffort: assistant.reasoningEffort ?? '',
    format: responseFormat.type,
    schemaName: jsonSchema?.name ?? '',
    schemaDescription: jsonSchema?.description ?? '',
    schema: writtenOf(jsonSchema?.schema),
    schemaStrict: jsonSchema?.strict ?? false,
    codeInterpreter: code !== undefined,
    timeoutSeconds: textOf(code?.timeoutSeconds),
    fileIds: toolResources.codeInterpreter?.fileIds ?? [],
    fileSearch: search !== undefined,
    maxNumResults: textOf(search?.maxNumResults),
    scoreThreshold: textOf(search?.rankingOptions?.scoreThreshold),
    storeIds: toolResources.fileSearch?.vectorStoreIds ?? [],
    functions: functions.map(({ name, description, parameters, strict }, key) => ({
      key,
      name,
      description: description ?? '',
      parameters: writtenOf(parameters),
      strict,
    })),
    metadata: pairsOf(assistant.metadata),
  };
}

/** Where each tool stands in what is sent. */
export function toolPaths({ codeInterpreter, fileSearch }: Draft) {
  const before = Number(codeInterpreter) + Number(fileSearch);
  return {
    codeInterpreter: 'tools.0.codeInterpreter',
    fileSearch: `tools.${Number(codeInterpreter)}.fileSearch`,
    functionAt: (index: number) => `tools.${before + index}`,
  };
}

const orNull = (text: string): string | null => (text === '' ? null : text);
const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));
const schemaOf = (text: string): unknown => (text.trim() === '' ? null : readJson(text).value);

/** What is sent, for a draft without problems. All of it: what is not set is null, so that an update takes it away. */
export function inputOf(draft: Draft): CreateAssistantInput {
  const tools: ToolInput[] = [];
  if (draft.codeInterpreter) tools.push({ codeInterpreter: { timeoutSeconds: numberOf(draft.timeoutSeconds) } });
  if (draft.fileSearch) {
    const scoreThreshold = numberOf(draft.scoreThreshold);
    const rankingOptions = scoreThreshold === null ? null : { scoreThreshold };
    tools.push({ fileSearch: { maxNumResults: numberOf(draft.maxNumResults), rankingOptions } });
  }
  for (const { name, description, parameters, strict } of draft.functions)
    tools.push({ function: { name, description: orNull(description), parameters: schemaOf(parameters), strict } });
  const jsonSchema = {
    name: draft.schemaName,
    description: orNull(draft.schemaDescription),
    schema: schemaOf(draft.schema),
    strict: draft.schemaStrict,
  };
  return {
    name: orNull(draft.name.trim()),
    description: orNull(draft.description),
    instructions: orNull(draft.instructions),
    model: draft.model.trim(),
    temperature: numberOf(draft.temperature),
    topP: numberOf(draft.topP),
    reasoningEffort: draft.reasoningEffort === '' ? null : draft.reasoningEffort,
    responseFormat: draft.format === 'JSON_SCHEMA' ? { jsonSchema } : { type: draft.format },
    tools,
    toolResources: {
      codeInterpreter: draft.fileIds.length > 0 ? { fileIds: [...draft.fileIds] } : null,
      fileSearch: draft.storeIds.length > 0 ? { vectorStoreIds: [...draft.storeIds] } : null,
    },
    metadata: jsonOf(draft.metadata),
  };
}

/** What can be seen to be wrong before the server is asked: what would not even reach its checks. */
export function problemsOf(draft: Draft): Problem[] {
  const found: (Problem | null)[] = [];
  const paths = toolPaths(draft);
  const check = (path: string, message: string | null) => found.push(message === null ? null : { path, message });
  check('model', draft.model.trim() === '' ? 'Name the model that answers.' : null);
  check('temperature', numberProblem(draft.temperature, 'temperature'));
  check('topP', numberProblem(draft.topP, 'top p'));
  if (draft.format === 'JSON_SCHEMA') check('responseFormat.jsonSchema.schema', schemaProblem(draft.schema));
  if (draft.codeInterpreter) check(`${paths.codeInterpreter}.timeoutSeconds`, numberProblem(draft.timeoutSeconds, 'time-out', true));
  if (draft.fileSearch) {
    check(`${paths.fileSearch}.maxNumResults`, numberProblem(draft.maxNumResults, 'number of results', true));
    check(`${paths.fileSearch}.rankingOptions.scoreThreshold`, numberProblem(draft.scoreThreshold, 'least score'));
  }
  for (const [index, { parameters }] of draft.functions.entries())
    check(`${paths.functionAt(index)}.function.parameters`, schemaProblem(parameters));
  check('metadata', pairsProblem(draft.metadata));
  return found.filter((problem) => problem !== null);
}

function numberProblem(text: string, what: string, integer = false): string | null {
  const value = numberOf(text);
  if (value === null) return null;
  if (!Number.isFinite(value)) return `The ${what} is no number.`;
  return integer && !Number.isInteger(value) ? `The ${what} must be a whole number.` : null;
}

function schemaProblem(text: string): string | null {
  return text.trim() === '' ? null : (readJson(text).fault?.message ?? null);
}

const PARTS: Partial<Record<keyof Draft, string>> = {
  format: 'responseFormat',
  schemaName: 'responseFormat',
  schemaDescription: 'responseFormat',
  schema: 'responseFormat',
  schemaStrict: 'responseFormat',
  codeInterpreter: 'tools',
  timeoutSeconds: 'tools',
  fileIds: 'toolResources',
  fileSearch: 'tools',
  maxNumResults: 'tools',
  scoreThreshold: 'tools',
  storeIds: 'toolResources',
  functions: 'tools',
};

/** The problems that are left once these fields have other values: what was said of the old ones no longer holds. */
export function problemsLeft(problems: readonly Problem[], changed: Partial<Draft>): readonly Problem[] {
  const parts = Object.keys(changed).map((field) => PARTS[field as keyof Draft] ?? field);
  const left = problems.filter(({ path }) => !parts.includes(path.split('.', 1)[0]!));
  return left.length === problems.length ? problems : left;
}

export const sameDraft = (a: Draft, b: Draft): boolean => JSON.stringify(a) === JSON.stringify(b);
