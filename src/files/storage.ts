import { randomBytes } from 'node:crypto';
import type { Readable } from 'node:stream';

/** What bytes come in as: chunks of any size, once. */
export type ByteStream = AsyncIterable<Uint8Array>;

/** First and last byte, from 0, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface Stored {
  bytes: number;
  /** In hexadecimal. */
  sha256: string;
}

/** Where bytes are kept. Memory is bounded whatever their size. */
export interface Storage {
  /** `disk` or `s3`, and where that is, for people. */
  readonly driver: 'disk' | 's3';
  readonly detail: string;
  /** Stores a stream under a key of `mintStorageKey`. All of it or nothing: a stream that fails leaves nothing to get. */
  put(key: string, stream: ByteStream, signal?: AbortSignal): Promise<Stored>;
  /** The bytes, or a range of them; throws `NoBytesError`. Whoever takes the stream reads it to its end or destroys it. */
  get(key: string, range?: ByteRange): Promise<Readable>;
  /** Removes the bytes and whatever an unfinished `put` has left; a key without any is no error. */
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}

export class NoBytesError extends Error {
  override name = 'NoBytesError';
  constructor(key: string, options?: ErrorOptions) {
    super(`the storage has no bytes under ${key}`, options);
  }
}

const KEY = /^[0-9a-f]{40}$/;

/** Every attempt to store something has a key of its own, so that two never write the same bytes. */
export const mintStorageKey = (): string => randomBytes(20).toString('hex');

/** A key never comes from a caller; what is not one must not become a path. */
export function checkStorageKey(key: string): void {
  if (!KEY.test(key)) throw new TypeError(`not a storage key: ${JSON.stringify(key.slice(0, 100))}`);
}
