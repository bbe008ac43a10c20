import type { Logger } from 'pino';
import { z } from 'zod';
import type { Files } from '../files/files.ts';
import { fileNameFault } from '../sandbox/file-name.ts';
import {
  type BoxFile,
  type ExecutionStatus,
  type InputFile,
  type Result,
  type Sandbox,
  SandboxFileError,
  SandboxFullError,
  type Session,
  SessionLostError,
} from '../sandbox/sandbox.ts';
import { lossInWords } from '../sandbox/verdict.ts';
import type { CodeInterpreterCall, CodeInterpreterOutput, HostedTool, ToolCallStatus, ToolPlace } from './tool.ts';

export interface CodeInterpreterOptions {
  sandbox: Sandbox;
  files: Files;
  /** Ids of the files that a place's code may read: of its assistant, its thread, and the messages in it. */
  inputs(place: ToolPlace): Promise<string[]>;
  logger: Logger;
}

const Arguments = z.object({ code: z.string() });

/** Where the code finds its files, and where it leaves them. */
const FOLDER = '/mnt/data';

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
  /** Names of the files that were put into a session, by their ids: others may be attached while it lives. */
  const put = new WeakMap<Session, Map<string, string>>();

  /** Brings files into a session that are not there yet; a deleted one is left out. */
  async function mount(session: Session, place: ToolPlace): Promise<string[]> {
    const there = put.get(session) ?? new Map<string, string>();
    put.set(session, there);
    const notes: string[] = [];
    for (const id of await options.inputs(place)) {
      if (there.has(id)) continue;
      const file = await files.open(place.projectId, id);
      if (!file) continue;
      const name = freeName(file.filename, new Set(there.values()));
      const input: InputFile = { name, content: await file.read() };
      try {
        await session.put(input);
        there.set(id, name);
      } catch (error) {
        if (!(error instanceof SandboxFileError)) throw error;
        notes.push(`${name} could not be put into ${FOLDER}: ${error.message}`);
      }
    }
    return notes;
  }

  /** Stores what the code left, in the order of its names. */
  async function keep(session: Session, place: ToolPlace, produced: readonly BoxFile[], notes: string[]) {
    const kept: CodeInterpreterCall['files'] = [];
    for (const { path } of produced) {
      try {
        const filename = path.slice(path.lastIndexOf('/') + 1);
        const file = await files.create(
          place.projectId,
          { filename, purpose: 'ASSISTANTS_OUTPUT' },
          session.get(path),
        );
        kept.push({ path: `${FOLDER}/${path}`, fileId: file.id });
      } catch (error) {
        if (!(error instanceof SandboxFileError) && !(error instanceof SessionLostError)) throw error;
        notes.push(`${FOLDER}/${path} could not be kept: ${error.message}`);
      }
    }
    return kept;
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
      const asked = { ...call, input: code };
      const wallMs = place.setting.timeoutSeconds ? { wallMs: place.setting.timeoutSeconds * 1000 } : {};
      let session: Session;
      try {
        session = await sandbox.open({ key: place.threadId, project: place.projectId, limits: wallMs, signal });
      } catch (error) {
        if (!(error instanceof SandboxFullError)) throw error;
        return { ...asked, status: 'FAILED', failure: `There is no room to run code at the moment: ${error.message}` };
      }
      const outputs: CodeInterpreterOutput[] = [];
      const add = (output: CodeInterpreterOutput) => {
        append(outputs, output);
        report(output);
      };
      // An image has an id once it is stored; what was printed behind it waits, so that all keep their order.
      let last: Promise<void> = Promise.resolve();
      const notes: string[] = [];
      try {
        const { fresh, previous } = session;
        if (fresh && previous) notes.push(lossInWords(previous));
        notes.push(...(await mount(session, place)));
        let images = 0;
        const result = await session.execute(code, {
          signal,
          limits: wallMs,
          onEvent(event) {
            last = last.then(async () => {
              if (event.type === 'logs') return add({ type: 'logs', logs: event.text });
              const filename = `image-${++images}.png`;
              const bytes = [event.image.bytes];
              const file = await files.create(
                place.projectId,
                { filename, purpose: 'ASSISTANTS_OUTPUT', contentType: event.image.mediaType },
                stream(bytes),
              );
              add({ type: 'image', fileId: file.id });
            });
            last.catch(() => {}); // awaited below, with the call's end
          },
        });
        await last;
        if (result.status === 'cancelled') {
          signal.throwIfAborted();
          throw new Error('the sandbox has cancelled a call that nobody asked it to');
        }
        const kept = await keep(session, place, result.files, notes);
        if (result.notice) notes.push(result.notice);
        if (result.filesOmitted > 0) notes.push(`${result.filesOmitted} more files were not kept.`);
        if (result.imagesOmitted > 0) notes.push(`${result.imagesOmitted} more images were not kept.`);
        if (notes.length > 0) add({ type: 'logs', logs: noteText(outputs, notes) });
        log(logger, place, result);
        return { ...asked, status: STATUS[result.status], outputs, files: kept };
      } catch (error) {
        if (signal.aborted || !(error instanceof SessionLostError)) throw error;
        return { ...asked, status: 'FAILED', outputs, failure: lossInWords(error.reason) };
      } finally {
        session.release();
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

/** A name under which nothing else is put. */
function freeName(filename: string, taken: Set<string>): string {
  const name = fileNameFault(filename) === null ? filename : 'file';
  if (!taken.has(name)) return name;
  const dot = name.lastIndexOf('.');
  const [stem, suffix] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  for (let n = 2; ; n++) if (!taken.has(`${stem}-${n}${suffix}`)) return `${stem}-${n}${suffix}`;
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
