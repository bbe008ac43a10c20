import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';

export interface DataOptions {
  /** Folder of the database cluster. It exists only whole: it is made elsewhere and renamed. */
  path: string;
  /** Folder for the copy of an empty cluster that later fresh starts begin with, instead of 3 s of initdb. */
  templates: string;
  warn: (error: unknown, message: string) => void;
}

/** Opens the database cluster, made first if there is none. */
export async function openData({ path, templates, warn }: DataOptions): Promise<PGlite> {
  if (existsSync(path)) return open(path);
  const fresh = `${path}.new`;
  rmSync(fresh, { recursive: true, force: true }); // of a start that was killed
  const template = join(templates, `pglite-${pgliteVersion()}`);
  if (existsSync(template)) {
    try {
      copyWhole(template, fresh, path);
      return await open(path);
    } catch (error) {
      warn(error, `the template ${template} is of no use and is made anew`);
      for (const broken of [path, template]) rmSync(broken, { recursive: true, force: true });
    }
  }
  await (await open(fresh)).close();
  try {
    copyWhole(fresh, `${template}.${randomUUID()}`, template);
  } catch (error) {
    // Somebody else may have made it in the meantime; a read-only installation never has one.
    if (!existsSync(template))
      warn(error, `the template ${template} could not be written: the next fresh start is slow again`);
  }
  renameSync(fresh, path);
  return open(path);
}

/**
 * PGlite fills its buffers with zeros before it begins, byte by byte: 3 ms of every start for each MB. What does not fit
 * into half of its usual 128 MB comes from the system's own cache of files.
 */
const BUFFERS = ['-c', 'shared_buffers=64MB'];

function open(path: string): Promise<PGlite> {
  const startParams = [...PGlite.defaultStartParams, ...BUFFERS];
  return PGlite.create({ dataDir: path, extensions: { vector }, startParams });
}

/** A copy that has its name only once it is whole. */
function copyWhole(from: string, unfinished: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  try {
    cpSync(from, unfinished, { recursive: true });
    renameSync(unfinished, to);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}

/** An older cluster works with a newer PGlite of the same PostgreSQL, but an empty one should be what initdb makes now. */
function pgliteVersion(): string {
  const require = createRequire(import.meta.url);
  let folder = dirname(require.resolve('@electric-sql/pglite'));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return (require(join(folder, 'package.json')) as { version: string }).version;
}
