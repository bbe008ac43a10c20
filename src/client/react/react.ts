/**
 * `skein/react`: hooks over `skein/client` and urql. Around them stands one `<SkeinProvider connection={connect(…)}>`;
 * below it urql's own hooks work as well, on the same normalised cache.
 */
export { createUrqlClient, SkeinProvider, useSkein } from './provider.tsx';
export { useAction } from './use-action.ts';
export type { Action, Outcome, Refusal } from './use-action.ts';
export { useFunctionTools } from './use-function-tools.ts';
export type { FunctionCall, FunctionTool, FunctionToolsState } from './use-function-tools.ts';
export { useRun } from './use-run.ts';
export type { LiveRun, ToolCall } from './use-run.ts';
export { useCancelRun, useSubmitToolOutputs } from './use-run-actions.ts';
export { useStartRun } from './use-start-run.ts';
export type { StartedRun } from './use-start-run.ts';
export { useThread } from './use-thread.ts';
export type { LiveThread } from './use-thread.ts';
export { useThreads } from './use-threads.ts';
export type { LiveThreads } from './use-threads.ts';
