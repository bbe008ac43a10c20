import type { Files, StoredFile } from '../files/files.ts';
import { fileNameFault } from '../sandbox/file-name.ts';
import { type Life, SandboxFileError, type Session } from '../sandbox/sandbox.ts';
import type { ToolPlace } from './tool.ts';

/** Where the code finds its files, and where it leaves them. */
export const FOLDER = '/mnt/data';

/** Names of the files that were put into a session, by their ids; those that were refused as well. */
interface Mounted {
  names: Map<string, string>;
  /** The end of the queue of those who look what is missing. */
  queue: Promise<unknown>;
}

/**
 * Brings the files of a place into its session, each of them once: what the code has made of one is not undone by the
 * next call. Others may be attached while the session lives, and a deleted one is left out. Answers with what could not be
 * brought, in words for the model.
 */
export function createMountedFiles({
  files,
  inputs,
}: {
  files: Files;
  inputs(place: ToolPlace): Promise<string[]>;
}): (session: Session, place: ToolPlace, signal: AbortSignal) => Promise<string[]> {
  const known = new WeakMap<Life, Mounted>();

  async function putMissing({ names }: Mounted, session: Session, place: ToolPlace, signal: AbortSignal) {
    const refused: string[] = [];
    for (const id of await inputs(place)) {
      if (names.has(id)) continue;
      const file = await files.open(place.projectId, id);
      if (!file) continue;
      const name = freeName(file.filename, new Set(names.values()));
      try {
        await session.put({ name, size: file.bytes, content: bytesOf(file, signal) });
      } catch (error) {
        if (!(error instanceof SandboxFileError)) throw error;
        refused.push(`${name} could not be put into ${FOLDER}: ${error.message}`);
      }
      names.set(id, name);
    }
    return refused;
  }

  return (session, place, signal) => {
    const mounted = known.get(session.life) ?? { names: new Map(), queue: Promise.resolve() };
    known.set(session.life, mounted);
    // Calls of one turn run side by side: who comes second finds the files of the first.
    const turn = mounted.queue.then(() => putMissing(mounted, session, place, signal));
    mounted.queue = turn.catch(() => {}); // told to whoever asked
    return turn;
  };
}

/** Opened only once somebody reads, so that there is nothing to shut when nobody does. */
async function* bytesOf(file: StoredFile, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const piece of await file.read()) {
    signal.throwIfAborted();
    yield piece as Uint8Array;
  }
}

/** A name under which nothing else is put. */
function freeName(filename: string, taken: Set<string>): string {
  const name = fileNameFault(filename) === null ? filename : 'file';
  if (!taken.has(name)) return name;
  const dot = name.lastIndexOf('.');
  const [stem, suffix] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ''];
  for (let n = 2; ; n++) if (!taken.has(`${stem}-${n}${suffix}`)) return `${stem}-${n}${suffix}`;
}
