import type { SourceLocation } from '../vector-stores/location.ts';

/**
 * What the server itself does for a model. A tool does not know that it is in a run: it is handed a call and the place
 * it works in, reports what comes out on the way, and returns the call as it ended.
 */
export interface HostedTool<Call extends HostedCall> {
  readonly type: Call['type'];
  /** How it is declared to the model; `parameters` is a JSON Schema object. */
  readonly definition: { name: string; description: string; parameters: object };
  /** Whether a call may be made again when its worker was lost while it ran. */
  readonly repeatable: boolean;
  /**
   * Makes a call. What the model has done wrong, and what the tool refuses, is an ended call with words for the model;
   * a rejection is a fault of ours. Rejects with the signal's reason on abort.
   */
  run(call: Call, place: ToolPlace, report: (part: HostedCallPart<Call>) => void, signal: AbortSignal): Promise<Call>;
  /**
   * What the model is told of a call that has ended. `ordinal` is its place among the run's calls of this tool, from 0.
   */
  answer(call: Call, ordinal: number): string;
}

/** The hosted tools that this server has. */
export interface HostedTools {
  codeInterpreter: HostedTool<CodeInterpreterCall> | null;
  fileSearch: HostedTool<FileSearchCall> | null;
}

export const NO_TOOLS: HostedTools = { codeInterpreter: null, fileSearch: null };

/** Names by which the hosted tools are declared to models: no function may take them. */
export const HOSTED_NAMES: Readonly<Record<string, keyof HostedTools>> = {
  code_interpreter: 'codeInterpreter',
  file_search: 'fileSearch',
};

/** Whose data a call may see. */
export interface ToolPlace {
  projectId: string;
  threadId: string;
  assistantId: string;
  /** The run's setting of this tool. */
  setting: { timeoutSeconds?: number | null; maxNumResults?: number | null; rankingOptions?: RankingOptions | null };
}

export type ToolCallStatus = 'IN_PROGRESS' | 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT' | 'LIMIT_EXCEEDED';

interface CallOfModel {
  id: string;
  /** What the model server called it; servers repeat `call_0`, so it is only good within its turn. */
  modelId: string | null;
  status: ToolCallStatus;
  /** JSON as the model wrote it. */
  arguments: string;
  /** Why it did not do what was asked, in words for the model. */
  failure: string | null;
}

export interface CodeInterpreterCall extends CallOfModel {
  type: 'codeInterpreter';
  input: string;
  outputs: CodeInterpreterOutput[];
  /** What the code has left under /mnt/data: what links of the answer may lead to. */
  files: { path: string; fileId: string }[];
}

export type CodeInterpreterOutput = { type: 'logs'; logs: string } | { type: 'image'; fileId: string };

export interface FileSearchCall extends CallOfModel {
  type: 'fileSearch';
  queries: string[];
  results: FileSearchResult[];
  rankingOptions: RankingOptions | null;
  /** What the model is to know of how it was searched; null or absent = nothing. */
  notice?: string | null;
}

export interface RankingOptions {
  scoreThreshold: number;
}

export interface FileSearchResult {
  fileId: string;
  filename: string;
  /** 0 to 1. */
  score: number;
  text: string;
  location: SourceLocation | null;
  /** Where its pages begin, when it runs over several: pairs of UTF-16 index and page. */
  pages?: [number, number][] | null;
  attributes: unknown;
}

export type HostedCall = CodeInterpreterCall | FileSearchCall;

/** What comes out of a call while it runs. A search has nothing to show before its end. */
export type HostedCallPart<Call extends HostedCall> = Call extends CodeInterpreterCall ? CodeInterpreterOutput : never;
