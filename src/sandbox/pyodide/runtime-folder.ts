import { createHash, randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, realpath, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SandboxUnavailableError } from '../sandbox.ts';

const PYODIDE_FILES = [
  'pyodide.mjs',
  'pyodide.asm.mjs',
  'pyodide.asm.wasm',
  'python_stdlib.zip',
  'pyodide-lock.json',
] as const;
const OURS: Readonly<Record<string, string>> = {
  'host.mjs': './host.mjs',
  'worker.mjs': './worker.mjs',
  'make-snapshot.mjs': './make-snapshot.mjs',
  'skein_runner.py': './runner.py',
  'skein_cell.py': '../python/skein_cell.py',
};
const SNAPSHOT = 'snapshot.bin';
/** An empty folder: what the process stands in. */
const EMPTY = 'empty';
/** Milliseconds. */
const OLD = 30 * 24 * 60 * 60 * 1000;

/**
 * A folder with all that the process may read, and nothing else. It holds no secrets and is named after its contents, so
 * that hosts share it and a new version makes a new one.
 */
export interface RuntimeFolder {
  readonly path: string;
  readonly emptyFolder: string;
  /** The memory snapshot, when there is one whose checksum is right. */
  readonly snapshot: string | null;
}

const require = createRequire(import.meta.url);

/** The package of this platform's Deno: 90 MB that npm has brought, the program alone. */
function denoPackage(): string {
  const { platform, arch } = process;
  const names: Record<string, string> = {
    linux: `linux-${arch}-glibc`,
    darwin: `darwin-${arch}`,
    win32: `win32-${arch}`,
  };
  return `@deno/${names[platform]}/package.json`;
}

export function denoProgram(): string {
  const { platform, arch } = process;
  try {
    return join(dirname(require.resolve(denoPackage())), platform === 'win32' ? 'deno.exe' : 'deno');
  } catch (cause) {
    throw new SandboxUnavailableError(
      `pyodide: there is no Deno for ${platform} on ${arch} among the installed packages. What helps: npm install with its optional packages; or set SANDBOX_DRIVER=none.`,
      { cause },
    );
  }
}

/**
 * Prepares the folder below `cache`, or where others cannot get there, below the folder for temporary files: a box that
 * runs as a user of its own has to be able to read it. `makeSnapshot` is run once for each version.
 */
export async function prepareRuntimeFolder(
  cache: string,
  shared: boolean,
  makeSnapshot: (folder: RuntimeFolder) => Promise<Buffer>,
  onProblem: (error: unknown) => void,
): Promise<RuntimeFolder> {
  const files = await sources();
  const version = fingerprint(files);
  await mkdir(cache, { recursive: true });
  const own = await realpath(cache);
  const usable = (await isOpen(own)) || !shared;
  // Deno takes a comma for the end of a path.
  const parent = usable && !own.includes(',') ? own : await sharedParent();
  const path = join(parent, `pyodide-${version}`);
  if (!(await holds(path, files))) await install(path, files);
  await utimes(path, new Date(), new Date());
  await removeOld(parent);
  const emptyFolder = join(path, EMPTY);
  const plain: RuntimeFolder = { path, emptyFolder, snapshot: null };
  try {
    const snapshot = join(path, SNAPSHOT);
    if (!(await isSound(snapshot))) await store(snapshot, await makeSnapshot(plain));
    return { ...plain, snapshot };
  } catch (error) {
    // Starts without it take some seconds longer and are otherwise the same.
    onProblem(error);
    return plain;
  }
}

/** Whether nothing has been taken away: folders for temporary files are swept. */
export async function isWhole({ path, emptyFolder, snapshot }: RuntimeFolder): Promise<boolean> {
  const files = [...PYODIDE_FILES.map((name) => `pyodide/${name}`), ...Object.keys(OURS)];
  const all = [emptyFolder, ...(snapshot ? [snapshot] : []), ...files.map((name) => join(path, name))];
  const found = await Promise.allSettled(all.map((name) => lstat(name)));
  return found.every(({ status }) => status === 'fulfilled');
}

/** Folders of versions that no host has started with for a while. */
async function removeOld(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const path = join(parent, name);
    if (!name.startsWith('pyodide-')) continue;
    // Another host may be moving a new one into its place.
    const about = await lstat(path).catch(() => null);
    if (about && Date.now() - about.mtimeMs > OLD) await rm(path, { recursive: true, force: true });
  }
}

async function sources(): Promise<Map<string, Buffer>> {
  const require = createRequire(import.meta.url);
  const pyodide = dirname(require.resolve('pyodide/package.json'));
  const files = new Map<string, Buffer>();
  for (const name of PYODIDE_FILES) files.set(`pyodide/${name}`, await readFile(join(pyodide, name)));
  for (const [name, url] of Object.entries(OURS)) {
    files.set(name, await readFile(fileURLToPath(new URL(url, import.meta.url))));
  }
  return files;
}

/** The snapshot fits one build of Pyodide in one build of Deno, on one kind of processor, and nothing else. */
function fingerprint(files: Map<string, Buffer>): string {
  const { version } = require(denoPackage()) as { version: string };
  const hash = createHash('sha256').update(`${version} ${process.platform} ${process.arch}`);
  for (const [name, bytes] of files) hash.update(`\n${name} ${bytes.length}\n`).update(bytes);
  return hash.digest('hex').slice(0, 16);
}

/** A folder of ours among the temporary ones, where everybody may go. */
async function sharedParent(): Promise<string> {
  const parent = join(await realpath(tmpdir()), `skein-sandbox-${process.getuid?.() ?? 0}`);
  if (parent.includes(',')) {
    throw new SandboxUnavailableError(`pyodide: the folder ${parent} has a comma. What helps: another TMPDIR.`);
  }
  await mkdir(parent, { recursive: true, mode: 0o755 });
  const about = await lstat(parent);
  if (!about.isDirectory() || about.uid !== process.getuid?.() || (about.mode & 0o022) !== 0) {
    throw new SandboxUnavailableError(`pyodide: ${parent} belongs to somebody else. What helps: remove it.`);
  }
  return parent;
}

/** Whether every user may go there. */
async function isOpen(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if (((await lstat(path)).mode & 0o001) === 0) return false;
    if (dirname(path) === path) return true;
  }
}

async function holds(path: string, files: Map<string, Buffer>): Promise<boolean> {
  try {
    for (const [name, bytes] of files) {
      if (!(await readFile(join(path, name))).equals(bytes)) return false;
    }
    return true;
  } catch {
    // Not there, or not all of it.
    return false;
  }
}

/** Made beside and moved into place whole: another host may be looking. */
async function install(path: string, files: Map<string, Buffer>): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    for (const folder of ['', 'pyodide', EMPTY]) {
      await mkdir(join(draft, folder), { recursive: true });
      await chmod(join(draft, folder), 0o755);
    }
    for (const [name, bytes] of files) await writeReadable(join(draft, name), bytes);
    await rm(path, { recursive: true, force: true });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Somebody else was faster; what they put there is looked at as if it had been there before.
    if (!(await holds(path, files))) throw error;
  }
}

async function isSound(snapshot: string): Promise<boolean> {
  try {
    const [bytes, sum] = await Promise.all([readFile(snapshot), readFile(`${snapshot}.sha256`, 'utf8')]);
    return checksum(bytes) === sum;
  } catch {
    // Not there yet.
    return false;
  }
}

async function store(snapshot: string, bytes: Buffer): Promise<void> {
  const draft = join(dirname(snapshot), `${basename(snapshot)}.${randomUUID()}`);
  await writeReadable(draft, bytes);
  await rename(draft, snapshot);
  await writeReadable(`${snapshot}.sha256`, Buffer.from(checksum(bytes)));
}

async function writeReadable(path: string, bytes: Buffer): Promise<void> {
  await writeFile(path, bytes);
  await chmod(path, 0o644);
}

function checksum(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
