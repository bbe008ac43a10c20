import { createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const FOLDER = 'skein-extract-';
const NAME = new RegExp(`^${FOLDER}(\\d+)-`);

/** A file on this machine for as long as `work` takes: documents are read from their end, and streams have none. */
export async function withCopy<T>(stream: Readable, signal: AbortSignal, work: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`)); // mode 700
  try {
    const path = join(folder, 'file');
    await pipeline(stream, createWriteStream(path, { mode: 0o600 }), { signal });
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Removes what killed processes have left of other people's files; answers how many copies that were. */
export async function removeLeftCopies(): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpdir())) {
    const pid = Number(NAME.exec(name)?.[1] ?? 0);
    if (pid === 0) continue;
    const path = join(tmpdir(), name);
    const made = await stat(path).catch(() => null);
    if (!made || made.uid !== process.getuid?.()) continue;
    // In a container every process has the same number, one after the other.
    if (pid === process.pid ? made.mtimeMs > Date.now() - process.uptime() * 1000 : isAlive(pid)) continue;
    await rm(path, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
