import type { ResponseFormat, ToolSetting } from '../assistants/settings.ts';
import type { RunErrorCode } from '../errors.ts';
import type { LogOwner } from '../events/log.ts';
import type { HostedCall, ToolCallStatus } from '../tools/tool.ts';
import type { Usage } from '../usage/usage.ts';
import { mayBecome, type RunStatus } from './status.ts';

/** What a run was started with, resolved. Never changes. */
export interface RunConfig {
  model: string;
  instructions: string;
  tools: ToolSetting[];
  temperature: number | null;
  topP: number | null;
  reasoningEffort: string | null;
  maxPromptTokens: number | null;
  maxCompletionTokens: number | null;
  truncationStrategy: TruncationStrategy;
  toolChoice: ToolChoice;
  parallelToolCalls: boolean;
  responseFormat: ResponseFormat;
}

export type TruncationStrategy = { type: 'AUTO' } | { type: 'LAST_MESSAGES'; lastMessages: number };
/** Messages of a thread that are looked at for one prompt; older ones count as left out. */
const HISTORY_LIMIT = 5000;

export const historyLimit = (strategy: TruncationStrategy): number =>
  strategy.type === 'LAST_MESSAGES' ? Math.min(strategy.lastMessages, HISTORY_LIMIT) : HISTORY_LIMIT;

export type ToolChoice =
  { type: 'NONE' | 'AUTO' | 'REQUIRED' | 'CODE_INTERPRETER' | 'FILE_SEARCH' } | { type: 'FUNCTION'; name: string };

export type RunIncompleteReason = 'MAX_COMPLETION_TOKENS' | 'MAX_PROMPT_TOKENS';

export interface RunError {
  code: RunErrorCode;
  message: string;
}

/** A run's changing part: what `RunStatusChanged` carries (there, times are ISO strings). */
export interface Run {
  id: string;
  projectId: string;
  threadId: string;
  assistantId: string;
  status: RunStatus;
  requiredAction: { toolCalls: FunctionToolCall[] } | null;
  lastError: RunError | null;
  incompleteReason: RunIncompleteReason | null;
  usage: Usage | null;
  attempt: number;
  /** null while it stands in line for its thread. */
  firstEvent: number | null;
  lastEvent: number | null;
  createdAt: Date;
  startedAt: Date | null;
  expiresAt: Date | null;
  completedAt: Date | null;
  cancelledAt: Date | null;
  failedAt: Date | null;
  /** Asked to stop while somebody holds it; callers see CANCELLING from then on. */
  cancelRequestedAt: Date | null;
}

export interface FunctionToolCall {
  type: 'function';
  id: string;
  /** What the model server called it; servers repeat `call_0`, so it is only good within its turn. */
  modelId: string | null;
  status: ToolCallStatus;
  name: string;
  arguments: string;
  output: string | null;
}

export type ToolCall = FunctionToolCall | HostedCall;

export const isHosted = (call: ToolCall): call is HostedCall => call.type !== 'function';

export type RunStepStatus = 'IN_PROGRESS' | 'CANCELLED' | 'FAILED' | 'COMPLETED' | 'EXPIRED';

export interface RunStep {
  id: string;
  projectId: string;
  threadId: string;
  runId: string;
  position: number;
  /** The model call it came from, from 1. */
  turn: number;
  type: 'MESSAGE_CREATION' | 'TOOL_CALLS';
  status: RunStepStatus;
  messageId: string | null;
  /** null while the calls are being written: they are in the log's deltas then. What hosted calls bring until they
   * have ended is there too. */
  toolCalls: ToolCall[] | null;
  usage: Usage | null;
  lastError: RunError | null;
  droppedMessages: number;
  createdAt: Date;
  completedAt: Date | null;
  cancelledAt: Date | null;
  failedAt: Date | null;
  expiredAt: Date | null;
}

/** The status that callers see: a held run that was asked to stop is CANCELLING before its owner has said so. */
export const visibleStatus = (run: Pick<Run, 'status' | 'cancelRequestedAt'>): RunStatus =>
  run.status === 'IN_PROGRESS' && run.cancelRequestedAt ? 'CANCELLING' : run.status;

/** The thread whose log tells of it. */
export const threadOf = ({ threadId, projectId }: Pick<Run, 'threadId' | 'projectId'>): LogOwner => ({ id: threadId, projectId });

/** The run in its next status; a move that the table does not know is a fault of ours. */
export function moved(run: Run, status: RunStatus, change: Partial<Run> = {}): Run {
  if (!mayBecome(run.status, status)) throw new Error(`run ${run.id} cannot go from ${run.status} to ${status}`);
  return { ...run, ...change, status };
}
