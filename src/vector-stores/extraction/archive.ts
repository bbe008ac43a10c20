import type { Readable } from 'node:stream';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { ExtractionFailure } from './extraction.ts';

const MOST_ENTRIES = 10_000;
/** Bytes of all parts that are read, unpacked. */
const MOST_BYTES = 100 * 2 ** 20;
/** Documents are packed 1:1 to 1:30; the bombs that were seen, from 1:250. Small parts may be anything. */
const MOST_RATIO = 100;
const SMALL_PART = 2 ** 20;

export interface Archive {
  has(name: string): boolean;
  names(): Iterable<string>;
  /** Unpacks one part, a piece at a time. What is unpacked is counted over all parts, whatever the headers claim. */
  read(name: string): AsyncIterable<Uint8Array>;
  /** Unpacks everything once and keeps nothing: for libraries that believe the headers. */
  verify(): Promise<void>;
  close(): void;
}

/** Opens a zip file by its directory, without unpacking anything, and refuses what no document looks like. */
export async function openArchive(path: string): Promise<Archive> {
  let zip: ZipFile | undefined;
  const entries = new Map<string, Entry>();
  try {
    zip = await openPromise(path, { autoClose: false });
    if (zip.entryCount > MOST_ENTRIES)
      throw bomb(`it has ${zip.entryCount.toLocaleString('en')} parts, more than ${MOST_ENTRIES.toLocaleString('en')}`);
    for await (const entry of zip.eachEntry()) {
      if (entry.isEncrypted()) throw encrypted();
      if (entries.has(entry.fileName)) throw damaged('two of its parts have the same name');
      const { compressedSize, uncompressedSize } = entry;
      if (uncompressedSize > SMALL_PART && uncompressedSize > compressedSize * MOST_RATIO)
        throw bomb(
          `a part of it grows to ${Math.round(uncompressedSize / Math.max(compressedSize, 1))} times its size`,
        );
      entries.set(entry.fileName, entry);
    }
  } catch (error) {
    zip?.close();
    if (error instanceof ExtractionFailure) throw error;
    if (error instanceof Error && /encryption/.test(error.message)) throw encrypted();
    throw damaged(reason(error), error);
  }
  const archive = zip;
  let unpacked = 0;

  async function* read(name: string): AsyncIterable<Uint8Array> {
    const entry = entries.get(name);
    if (!entry) throw damaged(`its part ${name.slice(0, 100)} is missing`);
    let size = 0;
    let stream: Readable | undefined;
    try {
      stream = await archive.openReadStreamPromise(entry);
      for await (const piece of stream as AsyncIterable<Buffer>) {
        unpacked += piece.length;
        size += piece.length;
        if (unpacked > MOST_BYTES) throw bomb(`unpacked it has more than ${MOST_BYTES / 2 ** 20} MB`);
        if (size > SMALL_PART && size > entry.compressedSize * MOST_RATIO)
          throw bomb(`a part of it grows to more than ${MOST_RATIO} times its size`);
        yield piece;
      }
    } catch (error) {
      if (error instanceof ExtractionFailure) throw error;
      throw damaged(reason(error), error);
    } finally {
      stream?.destroy();
    }
  }

  return {
    has: (name) => entries.has(name),
    names: () => entries.keys(),
    read,
    async verify() {
      for (const name of entries.keys()) for await (const _ of read(name));
    },
    close: () => archive.close(),
  };
}

/** What went wrong inside of the library, without the words of the file that some of its messages repeat. */
function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/relative path|absolute path|invalid characters/i.test(message))
    return 'a part of it has a path that leads out of it';
  if (/end of central directory|truncated|unexpected end|EOF/i.test(message)) return 'its end is missing';
  if (/too many bytes|not enough bytes|expected \d+ bytes/i.test(message))
    return 'its parts are not as long as they claim';
  if (/unsupported compression/i.test(message)) return 'it is packed in an unknown way';
  return 'its parts do not fit together';
}

const encrypted = (): ExtractionFailure =>
  new ExtractionFailure('encrypted', 'This file is protected by a password. Remove the password and upload it again.');

const damaged = (why: string, cause?: unknown): ExtractionFailure =>
  new ExtractionFailure('invalid_file', `This file is damaged: ${why}. Save it anew and upload it again.`, cause);

const bomb = (why: string): ExtractionFailure =>
  new ExtractionFailure('too_large', `This file is refused because ${why}. Split it into smaller files.`);
