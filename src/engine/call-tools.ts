import type { Logger } from 'pino';
import { FenceLostError } from '../events/log.ts';
import type { HeldRun } from '../runs/held-run.ts';
import { isHosted, type RunConfig, type ToolCall } from '../runs/run.ts';
import {
  type CodeInterpreterOutput,
  type HostedCall,
  HOSTED_NAMES,
  type HostedTool,
  type HostedTools,
  type ToolPlace,
} from '../tools/tool.ts';

/** What a call is told whose tool failed: a fault of ours, which the log has. */
const TOOL_FAILED = 'The tool failed on this server.';
const INTERRUPTED =
  'The process that ran this call was lost with it. It may have been done in part, and what it kept in memory is gone.';

/** The hosted tools of a run that this server has, by the names that the model knows. */
export function hostedOf({ tools }: RunConfig, has: HostedTools): Readonly<Record<string, HostedCall['type']>> {
  return Object.fromEntries(
    Object.entries(HOSTED_NAMES).filter(([, type]) => has[type] && tools.some((tool) => tool.type === type)),
  );
}

/**
 * Makes the hosted calls of a committed turn, all at once. Each result is committed by itself, so a worker that takes
 * over makes only those that had not ended; one that was running when its worker was lost is made again where that is
 * safe. `calls` is kept up to date with what has come out.
 */
export async function callTools(
  held: HeldRun,
  calls: ToolCall[],
  takenOver: boolean,
  options: { tools: HostedTools; logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  const made = calls.map(async (call, index) => {
    if (!isHosted(call) || call.status !== 'IN_PROGRESS') return;
    const tool = options.tools[call.type] as HostedTool<HostedCall> | null;
    const ended =
      tool && (tool.repeatable || !takenOver)
        ? await make(held, calls, index, tool, options.logger, signal)
        : failed(call, tool ? INTERRUPTED : `This server has no ${call.type} any more.`);
    signal.throwIfAborted();
    await held.endCall(index, ended);
    calls[index] = ended;
  });
  const failures = (await Promise.allSettled(made)).filter((result) => result.status === 'rejected');
  if (failures.length > 0) throw failures[0]!.reason;
}

async function make(
  held: HeldRun,
  calls: ToolCall[],
  index: number,
  tool: HostedTool<HostedCall>,
  logger: Logger,
  signal: AbortSignal,
): Promise<HostedCall> {
  const { run, config } = held;
  const setting = config.tools.find(({ type }) => type === tool.type) as ToolPlace['setting'];
  const { projectId, threadId, assistantId } = run;
  const report = (output: CodeInterpreterOutput): void => {
    const call = calls[index]!;
    if (call.type !== 'codeInterpreter' || signal.aborted) return;
    const last = call.outputs.at(-1);
    const goesOn = output.type === 'logs' && last?.type === 'logs';
    const outputs = goesOn
      ? call.outputs.with(-1, { type: 'logs', logs: last.logs + output.logs })
      : [...call.outputs, output];
    calls[index] = { ...call, outputs };
    const offset = goesOn ? last.logs.length : 0;
    const part = output.type === 'logs' ? { logs: output.logs } : { imageFileId: output.fileId };
    const empty = { input: null, logs: null, imageFileId: null, ended: null };
    held.writeToolCalls([{ type: call.type, index, id: call.id, offset, ...empty, ...part }]);
  };
  try {
    const work = tool.run(calls[index] as HostedCall, { projectId, threadId, assistantId, setting }, report, signal);
    return await unlessAborted(work, signal);
  } catch (error) {
    if (signal.aborted || error instanceof FenceLostError) throw error;
    logger.error({ err: error, runId: run.id, tool: tool.type }, 'a hosted tool failed');
    return failed(calls[index] as HostedCall, TOOL_FAILED);
  }
}

/** The run goes where it is to go at once: a tool is told to stop, and takes the time it needs for it by itself. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

const failed = (call: HostedCall, failure: string): HostedCall => ({ ...call, status: 'FAILED', failure });
