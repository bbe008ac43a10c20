import type { Message } from './conversation.ts';
import { filePathFault } from './file-name.ts';
import type { CallLimits } from './limits.ts';
import { storable } from './log-text.ts';
import type { BoxFile, Image, Result } from './sandbox.ts';

/** Characters. The runner keeps to less; what it says may not be the runner's words. */
const MOST_TEXT = 64 * 1024;
const MOST_FILES = 100;
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** What an answer to `exec` says, of what there is of it in the right shape. */
export interface Said {
  value: string | null;
  error: Result['error'];
  files: BoxFile[];
  filesOmitted: number;
  imagesOmitted: number;
}

/** `most`: bytes of all files together. A file without blocks, or with many names, is larger than the disk that it lies on. */
export function readAnswer(answer: Message, most: number): Said {
  const { files, omitted } = readFiles(answer.files, most);
  const error = answer.error as Message | null;
  return {
    value: typeof answer.value === 'string' ? text(answer.value) : null,
    error:
      typeof error === 'object' && error !== null
        ? { name: text(error.name) || 'Exception', message: text(error.message), traceback: text(error.traceback) }
        : null,
    files,
    filesOmitted: omitted + count(answer.filesOmitted),
    imagesOmitted: count(answer.imagesOmitted),
  };
}

/** Files with names that can be told to somebody; of too many or too much, the first. */
export function readFiles(said: unknown, most = Infinity): { files: BoxFile[]; omitted: number } {
  const files = new Map<string, BoxFile>();
  for (const file of Array.isArray(said) ? (said as unknown[]) : []) {
    const { path, size } = (file ?? {}) as Message;
    if (typeof path !== 'string' || filePathFault(path) !== null) continue;
    if (!Number.isSafeInteger(size) || (size as number) < 0) continue;
    files.set(path, { path, size: size as number });
  }
  let bytes = 0;
  const told: BoxFile[] = [];
  for (const file of files.values()) {
    if (told.length === MOST_FILES || bytes + file.size > most) continue;
    bytes += file.size;
    told.push(file);
  }
  return { files: told, omitted: files.size - told.length };
}

/** Bytes of the smallest part of an image that is not its last. */
const SMALL_PART = 256 * 1024;

/**
 * Puts the parts of images together. What is no PNG or too large is dropped without a word. False for what the runner does
 * not send: no image at all, or more than there may be.
 */
export function createImageReader(limits: CallLimits, pass: (image: Image) => void): (part: Message) => boolean {
  let left = limits.images * Math.ceil(limits.imageBytes / SMALL_PART + 1);
  let index: unknown = null;
  let parts: Buffer[] = [];
  let bytes = 0;
  let passed = 0;
  return (part) => {
    left -= 1;
    if (typeof part.data !== 'string' || left < 0) return false;
    if (part.image !== index) {
      index = part.image;
      parts = [];
      bytes = 0;
    }
    const data = Buffer.from(part.data, 'base64');
    bytes += data.length;
    if (bytes > limits.imageBytes || passed >= limits.images) {
      parts = [];
      return true;
    }
    parts.push(data);
    if (part.last !== true) return true;
    const image = Buffer.concat(parts);
    parts = [];
    index = null;
    if (!image.subarray(0, PNG.length).equals(PNG)) return true;
    passed += 1;
    pass({ mediaType: 'image/png', bytes: image });
    return true;
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? storable(value.slice(0, MOST_TEXT)) : '';
}

function count(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
}
