import type { ConversationMessage, ConversationRun, ConversationStep } from '../fold.ts';
import type { FollowStatus } from '../follow.ts';
import type { SkeinError } from '../skein-error.ts';
import { useSkein } from './provider.tsx';
import { useShelved } from './use-shelved.ts';

type Details = ConversationStep['details'];
export type ToolCall = Extract<Details, { __typename: 'ToolCallsDetails' }>['toolCalls'][number];

/** One run, live. */
export interface LiveRun {
  /** Null until what is stored is here. */
  run: ConversationRun | null;
  status: ConversationRun['status'] | null;
  /** What it has said so far: its messages' texts, parted by empty lines. */
  text: string;
  messages: readonly ConversationMessage[];
  /** Oldest first. */
  steps: readonly ConversationStep[];
  /** Of all steps, oldest first. */
  toolCalls: readonly ToolCall[];
  connection: FollowStatus;
  error: SkeinError | null;
}

const NONE: readonly never[] = [];

/** Follows one run to its end. Without an id it waits for one. */
export function useRun(runId: string | null): LiveRun {
  const state = useShelved(useSkein().runs, runId);
  const run = state?.conversation.runs[0] ?? null;
  const messages = state?.conversation.messages ?? NONE;
  const steps = run?.steps ?? NONE;
  return {
    run,
    status: run?.status ?? null,
    text: messages.map(({ text }) => text).join('\n\n'),
    messages,
    steps,
    toolCalls: steps.flatMap(({ details }) => (details.__typename === 'ToolCallsDetails' ? details.toolCalls : [])),
    connection: state?.status ?? 'connecting',
    error: state?.error ?? null,
  };
}
