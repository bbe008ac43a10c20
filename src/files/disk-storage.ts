import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type ByteStream, checkStorageKey, NoBytesError, type Storage, type Stored } from './storage.ts';

/**
 * Bytes in a folder of this machine, or one that all processes share. What is written is flushed to the disk under a
 * temporary name before it gets its own, so that a name has all of its bytes or is not there.
 */
export async function createDiskStorage({ folder }: { folder: string }): Promise<Storage> {
  const root = resolve(folder);
  await mkdir(root, { recursive: true, mode: 0o700 });

  // 65536 folders: directories stay small with millions of files.
  const pathOf = (key: string): string => {
    checkStorageKey(key);
    return join(root, key.slice(0, 2), key.slice(2, 4), key);
  };

  return {
    driver: 'disk',
    detail: 'The folder `files` in DATA_DIR. Processes on several machines must share it, or use STORAGE=s3.',

    async put(key, stream, signal) {
      const path = pathOf(key);
      const unfinished = `${path}.part`;
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      try {
        const handle = await open(unfinished, 'wx', 0o600);
        let stored: Stored;
        try {
          stored = await write(handle, stream, signal);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(unfinished, path);
        await syncFolder(dirname(path));
        return stored;
      } catch (error) {
        await rm(unfinished, { force: true });
        throw error;
      }
    },

    async get(key, range) {
      let handle: FileHandle;
      try {
        handle = await open(pathOf(key), 'r');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new NoBytesError(key, { cause: error });
        throw error;
      }
      return handle.createReadStream({ ...range, highWaterMark: 256 * 1024 });
    },

    async delete(key) {
      const path = pathOf(key);
      await rm(path, { force: true });
      await rm(`${path}.part`, { force: true });
    },

    async close() {},
  };
}

async function write(handle: FileHandle, stream: ByteStream, signal: AbortSignal | undefined): Promise<Stored> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    signal?.throwIfAborted();
    hash.update(chunk);
    bytes += chunk.byteLength;
    for (let from = 0; from < chunk.byteLength;) from += (await handle.write(chunk, from)).bytesWritten;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Makes a name last: it is an entry of its folder. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
