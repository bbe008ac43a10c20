import { assertNever } from '../errors.ts';
import type { BoxLimits, CallLimits } from './limits.ts';
import type { LostReason, Result } from './sandbox.ts';

/** Why the host ended a call, or found it ended. */
export type Verdict = Exclude<Result['status'], 'ok' | 'error'>;

const KEPT = 'Variables and files are kept.';
const GONE = 'The Python session is gone with its variables and files; the next call starts a new one.';

/** What the host has to say about a call, in words for the model; null when everything is in the logs. */
export function noticeOf(result: Result, limits: CallLimits, box: BoxLimits): string | null {
  const words: string[] = [];
  if (result.status !== 'ok' && result.status !== 'error') words.push(stopped(result.status, limits, box));
  if (result.lost) words.push(GONE);
  else if (words.length > 0) words.push(KEPT);
  if (result.imagesOmitted > 0) words.push(`${result.imagesOmitted} figures were too many or too large to be shown.`);
  if (result.filesOmitted > 0) words.push(`${result.filesOmitted} files were too many or too large to be handed out.`);
  return words.length > 0 ? words.join(' ') : null;
}

function stopped(verdict: Verdict, limits: CallLimits, box: BoxLimits): string {
  switch (verdict) {
    case 'timeout':
      return `The code was stopped after ${limits.wallMs / 1000} seconds.`;
    case 'cancelled':
      return 'The code was cancelled.';
    case 'memory':
      return `The code was stopped: it took more than ${sized(box.memoryBytes)} of memory.`;
    case 'cpu':
      return `The code was stopped: it took more than ${limits.cpuMs / 1000} seconds of processor time.`;
    case 'output':
      return `The code was stopped: it printed more than ${sized(limits.mostLogBytes)}.`;
    case 'disk':
      return `The code was stopped: it made more than ${box.files} files.`;
    case 'processes':
      return `The code was stopped: it started more than ${box.processes} processes.`;
    case 'crashed':
      return 'The Python interpreter ended unexpectedly.';
    default:
      return assertNever(verdict);
  }
}

/** What became of a session, in words for the model that had variables in it. */
export function lossInWords(reason: LostReason): string {
  switch (reason) {
    case 'idle':
    case 'expired':
      return 'The earlier Python session has expired: its variables and files are gone.';
    case 'evicted':
    case 'closed':
      return 'The earlier Python session was closed: its variables and files are gone.';
    default:
      return `The earlier Python session was lost (${reason}): its variables and files are gone.`;
  }
}

function sized(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${Math.round(bytes / 1024 / 1024)} MiB`;
}
