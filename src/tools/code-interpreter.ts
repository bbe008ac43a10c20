import type { Logger } from 'pino';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import type { Files } from '../files/files.ts';
import {
  type BoxFile,
  type ExecutionEvent,
  type ExecutionStatus,
  type Result,
  type Sandbox,
  SandboxFileError,
  SandboxFullError,
  type Session,
  SessionLostError,
} from '../sandbox/sandbox.ts';
import { lossInWords } from '../sandbox/verdict.ts';
import { type CodeSessionRows, createCodeSessions } from './code-sessions.ts';
import { createMountedFiles, FOLDER } from './mounted-files.ts';
import type { CodeInterpreterCall, CodeInterpreterOutput, HostedTool, ToolCallStatus, ToolPlace } from './tool.ts';

export interface CodeInterpreterOptions {
  sandbox: Sandbox;
  files: Files;
  /** Ids of the files that a place's code may read: of its assistant, its thread, and the messages in it. */
  inputs(place: ToolPlace): Promise<string[]>;
  sessions: CodeSessionRows;
  logger: Logger;
}

const Arguments = z.object({ code: z.string() });

const purpose = 'ASSISTANTS_OUTPUT';
/** Sessions that may end one after the other before the code of a call begins. */
const TRIES = 3;

/** What a file is refused for: its owner's affair, or the code's. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof SandboxFileError || error instanceof SessionLostError || error instanceof UserError;

const STATUS: Readonly<Record<Exclude<ExecutionStatus, 'cancelled'>, ToolCallStatus>> = {
  ok: 'COMPLETED',
  error: 'FAILED',
  crashed: 'FAILED',
  timeout: 'TIMED_OUT',
  memory: 'LIMIT_EXCEEDED',
  cpu: 'LIMIT_EXCEEDED',
  output: 'LIMIT_EXCEEDED',
  disk: 'LIMIT_EXCEEDED',
  processes: 'LIMIT_EXCEEDED',
};

/**
 * Python in the sandbox. A thread's calls share one session, and so its variables and files; what the code leaves under
 * /mnt/data is stored, and what it draws is an output.
 */
export function createCodeInterpreter(options: CodeInterpreterOptions): HostedTool<CodeInterpreterCall> {
  const { sandbox, files, logger } = options;
  const openSession = createCodeSessions({ sandbox, rows: options.sessions });
  const mount = createMountedFiles(options);

  /** Stores what the code left, in the order of its names. */
  async function keep(
    session: Session,
    { projectId }: ToolPlace,
    produced: readonly BoxFile[],
    notes: string[],
    signal: AbortSignal,
  ) {
    const kept: CodeInterpreterCall['files'] = [];
    for (const file of produced) {
      const path = `${FOLDER}/${file.path}`;
      const filename = path.slice(path.lastIndexOf('/') + 1);
      try {
        const stored = await files.create(projectId, { filename, purpose }, session.get(file), { signal });
        kept.push({ path, fileId: stored.id });
      } catch (error) {
        if (signal.aborted || !isRefusal(error)) throw error;
        notes.push(`${path} could not be kept: ${error.message}`);
      }
    }
    return kept;
  }

  /** Rejects with SessionLostError when the session ended before the code began. */
  async function runIn(
    call: CodeInterpreterCall,
    place: ToolPlace,
    notes: string[],
    report: (output: CodeInterpreterOutput) => void,
    signal: AbortSignal,
  ): Promise<CodeInterpreterCall> {
    const { projectId, threadId, setting } = place;
    const limits = setting.timeoutSeconds ? { wallMs: setting.timeoutSeconds * 1000 } : {};
    const outputs: CodeInterpreterOutput[] = [];
    const add = (output: CodeInterpreterOutput) => {
      append(outputs, output);
      report(output);
    };
    const session = await openSession(threadId, { project: projectId, limits, signal }, notes);
    // An image has an id once it is stored; what was printed behind it waits, so that all keep their order.
    let last: Promise<void> = Promise.resolve();
    try {
      notes.push(...(await mount(session, place, signal)));
      let images = 0;
      const show = async (event: ExecutionEvent): Promise<void> => {
        if (event.type === 'logs') return add({ type: 'logs', logs: event.text });
        const filename = `image-${++images}.png`;
        const { mediaType: contentType, bytes } = event.image;
        try {
          const file = await files.create(projectId, { filename, purpose, contentType }, stream([bytes]));
          add({ type: 'image', fileId: file.id });
        } catch (error) {
          if (!isRefusal(error)) throw error;
          notes.push(`A figure could not be kept: ${error.message}`);
        }
      };
      const result = await session.execute(call.input, {
        signal,
        limits,
        onEvent(event) {
          last = last.then(() => show(event));
          last.catch(() => {}); // awaited below, with the call's end
        },
      });
      await last;
      if (result.status === 'cancelled') {
        signal.throwIfAborted();
        throw new Error('the sandbox has cancelled a call that nobody asked it to');
      }
      const kept = await keep(session, place, result.files, notes, signal);
      if (result.notice) notes.push(result.notice);
      if (notes.length > 0) add({ type: 'logs', logs: noteText(outputs, notes) });
      log(logger, place, result);
      return { ...call, status: STATUS[result.status], outputs, files: kept };
    } finally {
      session.release();
    }
  }

  return {
    type: 'codeInterpreter',
    // What it did outside of its session cannot be known once its worker is lost, and the session is lost with it.
    repeatable: false,
    definition: {
      name: 'code_interpreter',
      description: describe(sandbox),
      parameters: {
        type: 'object',
        properties: { code: { type: 'string', description: 'Python code.' } },
        required: ['code'],
        additionalProperties: false,
      },
    },

    async run(call, place, report, signal) {
      const code = codeOf(call.arguments);
      if (code === null) {
        return { ...call, status: 'FAILED', failure: 'The arguments must be a JSON object with the code: {"code": "…"}.' };
      }
      const notes: string[] = [];
      for (let tries = 1; ; tries++) {
        try {
          return await runIn({ ...call, input: code }, place, notes, report, signal);
        } catch (error) {
          if (error instanceof SandboxFullError) {
            const failure = `There is no room to run code at the moment: ${error.message}`;
            return { ...call, input: code, status: 'FAILED', failure };
          }
          // It was ending when it was opened: the code has not begun, and a new session is told of its end.
          if (signal.aborted || !(error instanceof SessionLostError)) throw error;
          if (tries === TRIES) return { ...call, input: code, status: 'FAILED', failure: lossInWords(error.reason) };
        }
      }
    },

    answer({ outputs, files: kept, failure }) {
      const shown = outputs.map((output) => (output.type === 'logs' ? output.logs : `[image ${output.fileId}, shown]\n`));
      if (kept.length > 0) {
        const links = kept.map(({ path }) => `sandbox:${path}`).join(', ');
        shown.push(`${shown.at(-1)?.endsWith('\n') === false ? '\n' : ''}[files, to be linked as ${links}]`);
      }
      return [...(failure ? [failure] : []), shown.join('')].join('\n').trim() || '(no output)';
    },
  };
}

function codeOf(text: string): string | null {
  try {
    const result = Arguments.safeParse(JSON.parse(text));
    return result.success ? result.data.code : null;
  } catch {
    return null; // it is the model's to mend, and it is told so
  }
}

function append(outputs: CodeInterpreterOutput[], output: CodeInterpreterOutput): void {
  const before = outputs.at(-1);
  if (output.type === 'logs' && before?.type === 'logs') {
    outputs[outputs.length - 1] = { type: 'logs', logs: before.logs + output.logs };
  } else outputs.push(output);
}

/** On lines of their own. */
function noteText(outputs: CodeInterpreterOutput[], notes: string[]): string {
  const before = outputs.at(-1);
  const breaks = before?.type === 'logs' && !before.logs.endsWith('\n') ? '\n' : '';
  return `${breaks}${notes.map((note) => `[${note}]\n`).join('')}`;
}

function describe(sandbox: Sandbox): string {
  const { python, packages } = sandbox.describe();
  const names = packages.map(({ name, version }) => `${name} ${version}`).join(', ');
  const has = names ? `${names} and the standard library` : 'the standard library alone';
  return (
    `Runs Python ${python} with ${has}, without a network. Variables and files are kept between calls. Files of the ` +
    `conversation are in ${FOLDER}; files that you leave there are given to the user: link them as sandbox:${FOLDER}/name. ` +
    'What is printed, the value of a last expression and figures that are open at the end are shown.'
  );
}

async function* stream(chunks: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function log(logger: Logger, { threadId }: ToolPlace, { status, usage, lost }: Result): void {
  logger.info({ threadId, status, ms: Math.round(usage.wallMs), cpuMs: usage.cpuMs, lost }, 'code ran in the sandbox');
}
