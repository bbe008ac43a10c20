import { useEffect, useRef, useState } from 'react';
import type { ConversationRun } from '../fold.ts';
import { useSubmitToolOutputs } from './use-run-actions.ts';
import { useThread } from './use-thread.ts';

export type FunctionCall = NonNullable<ConversationRun['requiredAction']>['toolCalls'][number];

/**
 * Answers a call: what comes back is the call's output, as it is when it is a string, else as JSON. What is thrown is
 * told to the model, as `{ "error": message }`, so that it can go on.
 */
export type FunctionTool = (args: never, call: FunctionCall, signal: AbortSignal) => unknown;

export interface FunctionToolsState {
  /** The run whose calls are being answered now. */
  answering: string | null;
  /**
   * Calls that wait for somebody else: their run also calls functions that are not among the given ones, and all calls
   * of a run are answered at once.
   */
  left: readonly FunctionCall[];
  /** Why the last outputs could not be submitted. */
  error: string | null;
}

/**
 * Answers the function calls of a thread's runs in this page, for as long as the component is there. Where several pages
 * do, the first to submit is heard: the functions may be called in each of them.
 */
export function useFunctionTools(threadId: string | null, functions: Record<string, FunctionTool>): FunctionToolsState {
  const { activeRun } = useThread(threadId);
  const { run: submit } = useSubmitToolOutputs();
  const [state, setState] = useState<Pick<FunctionToolsState, 'answering' | 'error'>>({ answering: null, error: null });
  // Given anew on each rendering, as a rule.
  const given = useRef(functions);
  useEffect(() => {
    given.current = functions;
  });

  const calls = (activeRun?.status === 'REQUIRES_ACTION' && activeRun.requiredAction?.toolCalls) || NONE;
  const mine = calls.length > 0 && calls.every(({ name }) => Object.hasOwn(functions, name));
  const runId = activeRun?.id ?? null;
  const which = mine ? calls.map(({ id }) => id).join(' ') : '';

  useEffect(() => {
    if (which === '' || runId === null) return;
    const leaving = new AbortController();
    const { signal } = leaving;
    setState({ answering: runId, error: null });
    void Promise.all(calls.map((call) => answer(given.current[call.name]!, call, signal))).then(async (outputs) => {
      if (signal.aborted) return;
      const { value, refusals, error } = await submit({ runId, toolOutputs: outputs });
      // Another page was first, or the run was cancelled: it goes on, or has ended, without these.
      const late = refusals.some(({ code }) => code === 'WRONG_RUN_STATUS');
      const why = value || late ? null : (error?.message ?? refusals.map(({ message }) => message).join(' '));
      if (!signal.aborted) setState({ answering: null, error: why });
    });
    return () => {
      leaving.abort();
      setState((now) => ({ ...now, answering: null }));
    };
    // `which` stands for the calls: the same calls are answered once.
  }, [which, runId, submit]);

  return { ...state, left: mine ? NONE : calls };
}

const NONE: readonly never[] = [];

async function answer(
  tool: FunctionTool,
  call: FunctionCall,
  signal: AbortSignal,
): Promise<{ toolCallId: string; output: string }> {
  const output = await run(tool, call, signal).catch((error: unknown) => ({
    error: error instanceof Error ? error.message : String(error),
  }));
  return { toolCallId: call.id, output: typeof output === 'string' ? output : (JSON.stringify(output) ?? 'null') };
}

/** Arguments are what a model wrote: where they are no JSON, that is what it is told. */
async function run(tool: FunctionTool, call: FunctionCall, signal: AbortSignal): Promise<unknown> {
  return tool(JSON.parse(call.arguments || '{}') as never, call, signal);
}
