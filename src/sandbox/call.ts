import type { Body, Measure } from './body.ts';
import { type Conversation, BoxEndedError, type Message } from './conversation.ts';
import type { BoxLimits, CallLimits } from './limits.ts';
import { createLogText } from './log-text.ts';
import { createImageReader, type Said, readAnswer } from './read-answer.ts';
import type { ExecuteOptions, ExecutionEvent, Image, LostReason, Result } from './sandbox.ts';
import { noticeOf, type Verdict } from './verdict.ts';

/** Milliseconds between two looks at what the box takes. */
const WATCH_EVERY = 100;
/** Milliseconds that code which prints without end has to take notice. */
const OUTPUT_GRACE = 500;
/** Parts of a limit: libraries are shared by processes, and a single one is stopped by its own limit before. */
const MEMORY_HEADROOM = 1.25;
/** Of the memory limit: an interpreter that dies with so much is taken to have died of it. */
const DIED_OF_MEMORY = 0.7;
/** Milliseconds. The kernel's limit strikes between two looks. */
const CPU_SLACK = 1500;
const KIB = 1024;
/** What base64 makes of a byte, and the frame around it. */
const BASE64 = 1.4;

export interface Call {
  body: Body;
  conversation: Conversation;
  code: string;
  limits: CallLimits;
  boxLimits: BoxLimits;
  options: ExecuteOptions;
  /** Why the owner of the box has ended it, if it has. */
  endedBy(): LostReason | null;
}

/** Runs one piece of code. Whatever the box says or does, this resolves in bounded time with the host's own verdict. */
export async function runCall(call: Call): Promise<Result> {
  const { body, conversation, code, limits, boxLimits, options } = call;
  const started = performance.now();
  let failure: { error: unknown } | null = null;
  const images: Image[] = [];
  const logs = createLogText(limits.logBytes, (text) => emit({ type: 'logs', text }));
  const before = await body.measure();
  const timers = new Set<NodeJS.Timeout>();
  const later = (ms: number, act: () => void): void => {
    timers.add(setTimeout(act, ms));
  };
  let verdict: Verdict | null = null;
  let last: Measure | null = before;
  let peak = before?.memoryBytes ?? null;
  let over = false;
  let begun = false;

  /** What the caller's own code throws is the caller's, and not for the stream that it happens to be called from. */
  const emit = (event: ExecutionEvent): void => {
    if (failure) return;
    try {
      options.onEvent?.(event);
    } catch (error) {
      failure = { error };
      stop('cancelled');
    }
  };
  /** Asks the code to end, and then no longer asks. */
  const stop = (why: Verdict, grace = limits.graceMs): void => {
    if (verdict || over) return;
    verdict = why;
    if (begun) body.interrupt();
    later(grace / 2, () => body.interrupt());
    later(grace, () => body.kill());
  };
  const kill = (why: Verdict): void => {
    if (over) return;
    verdict ??= why;
    body.kill();
  };
  const watch = async (): Promise<void> => {
    const seen = await body.measure();
    if (over) return;
    if (seen) {
      last = seen;
      peak = Math.max(peak ?? 0, seen.memoryBytes);
      if (seen.memoryBytes > boxLimits.memoryBytes * MEMORY_HEADROOM) kill('memory');
      else if (seen.processes > boxLimits.processes + 2) kill('processes');
      else if (seen.files !== null && seen.files > boxLimits.files) kill('disk');
      else if (seen.cpuMs - (before?.cpuMs ?? 0) > limits.cpuMs) stop('cpu');
    }
    later(WATCH_EVERY, () => void watch());
  };
  const onAbort = (): void => stop('cancelled');

  const readImage = createImageReader(limits, (image) => {
    images.push(image);
    emit({ type: 'image', image });
  });
  const onPart = (part: Message): boolean => {
    if (part.begun !== true || begun) return readImage(part);
    begun = true;
    // The runner drops an interrupt that comes before the code.
    if (verdict) body.interrupt();
    return true;
  };

  let said: Said | null = null;
  let lost: LostReason | null = null;
  try {
    const asked = conversation.ask({
      message: { op: 'exec', code, images: limits.images, imageBytes: limits.imageBytes },
      budget: budgetOf(limits),
      onLogs(bytes) {
        if (logs.bytes > limits.mostLogBytes) return;
        logs.push(bytes);
        if (logs.bytes > limits.mostLogBytes) stop('output', OUTPUT_GRACE);
      },
      onPart,
    });
    later(limits.wallMs, () => stop('timeout'));
    later(WATCH_EVERY, () => void watch());
    options.signal?.addEventListener('abort', onAbort);
    if (options.signal?.aborted) onAbort();
    said = readAnswer(await asked, boxLimits.dataBytes);
  } catch (error) {
    if (!(error instanceof BoxEndedError)) throw error;
    const exit = await conversation.ended;
    lost = verdict ?? call.endedBy() ?? (exit.broke ? 'output' : causeOf(exit.signal, exit.code, last, boxLimits));
  } finally {
    over = true;
    for (const timer of timers) clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
  const after = lost ? last : await body.measure();
  const status = verdict ?? (lost ? statusOf(lost) : said?.error ? 'error' : 'ok');
  const result: Result = {
    status,
    logs: '',
    logsOmitted: 0,
    value: said?.value ?? null,
    error: status === 'error' ? (said?.error ?? null) : null,
    images,
    imagesOmitted: said?.imagesOmitted ?? 0,
    files: said?.files ?? [],
    filesOmitted: said?.filesOmitted ?? 0,
    usage: {
      wallMs: Math.round(performance.now() - started),
      cpuMs: before && after ? Math.max(0, after.cpuMs - before.cpuMs) : null,
      peakMemoryBytes: after && peak !== null ? Math.max(peak, after.memoryBytes) : peak,
    },
    lost,
    notice: null,
  };
  logs.finish();
  logs.add(said?.value ?? '');
  logs.add(said?.error?.traceback ?? '');
  // Through a function: for the compiler, nothing has set it.
  const thrown = (() => failure as { error: unknown } | null)();
  if (thrown) throw thrown.error;
  return { ...result, logs: logs.text(), logsOmitted: logs.omitted, notice: noticeOf(result, limits, boxLimits) };
}

/** A call that loses its session to the session's owner was not at fault. */
function statusOf(lost: LostReason): Verdict {
  return lost === 'idle' || lost === 'expired' || lost === 'evicted' || lost === 'closed' ? 'cancelled' : lost;
}

/** Bytes of control lines that a call of the runner's can need: images in base64, logs where they come along, the answer. */
function budgetOf(limits: CallLimits): number {
  return Math.ceil(BASE64 * (limits.images * limits.imageBytes + limits.mostLogBytes)) + 2048 * KIB;
}

/** Why an interpreter that nobody has stopped is gone. */
function causeOf(signal: string | null, code: number | null, last: Measure | null, box: BoxLimits): Verdict {
  if (signal === 'SIGXCPU' || code === 128 + 24) return 'cpu';
  if (last && last.cpuMs > box.cpuMs - CPU_SLACK) return 'cpu';
  if (last && last.memoryBytes > box.memoryBytes * DIED_OF_MEMORY) return 'memory';
  return 'crashed';
}
