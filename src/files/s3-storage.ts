import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Logger } from 'pino';
import { type ByteStream, checkStorageKey, NoBytesError, type Storage } from './storage.ts';

export interface S3StorageOptions {
  bucket: string;
  region: string;
  /** null = Amazon's own for the region. */
  endpoint: string | null;
  /** null = what the SDK finds: variables, shared files, the role of the machine. */
  credentials: { accessKeyId: string; secretAccessKey: string } | null;
  /** The bucket in the path instead of the host name: what most servers other than Amazon's want. */
  forcePathStyle: boolean;
  logger: Logger;
}

/** An upload holds two parts at most: one on its way and one that fills. 10 000 parts of this size are 80 GiB. */
const PART_BYTES = 8 * 1024 * 1024;
/** Milliseconds without anything on a connection, and to make one. */
const SILENCE_MS = 60_000;
const CONNECT_MS = 10_000;

/** Bytes in a bucket of any S3-compatible server, below `files/`. */
export async function createS3Storage(options: S3StorageOptions): Promise<Storage> {
  const { bucket: Bucket, endpoint, logger } = options;
  const client = new S3Client({
    region: options.region,
    ...(endpoint ? { endpoint } : {}),
    ...(options.credentials ? { credentials: options.credentials } : {}),
    forcePathStyle: options.forcePathStyle,
    // Servers other than Amazon's refuse the checksums that the SDK would add by itself; ours is the SHA-256.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: SILENCE_MS },
  });
  const detail = `The bucket ${Bucket} at ${endpoint ?? `Amazon S3, ${options.region}`}.`;
  try {
    await findBucket(client, Bucket, logger);
  } catch (error) {
    client.destroy();
    throw new Error(`The file storage cannot be used. ${detail} ${(error as Error).message}`, { cause: error });
  }

  const objectOf = (key: string) => {
    checkStorageKey(key);
    return { Bucket, Key: `files/${key}` };
  };

  async function putParts(
    object: { Bucket: string; Key: string },
    first: Buffer,
    rest: AsyncIterator<Buffer>,
    abort: { abortSignal?: AbortSignal },
  ): Promise<void> {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object), abort);
    try {
      const parts: { PartNumber: number; ETag: string | undefined }[] = [];
      const send = async (Body: Buffer) => {
        const PartNumber = parts.push({ PartNumber: parts.length + 1, ETag: undefined });
        const part = new UploadPartCommand({ ...object, UploadId, PartNumber, Body, ContentLength: Body.byteLength });
        parts[PartNumber - 1]!.ETag = (await client.send(part, abort)).ETag;
      };
      for (let part: Buffer | null = first; part;) {
        const sent = send(part);
        const next = rest.next();
        // Both are waited for, whichever fails: nothing of this upload goes on behind its back.
        const [sending, filling] = await Promise.allSettled([sent, next]);
        if (sending.status === 'rejected') throw sending.reason;
        if (filling.status === 'rejected') throw filling.reason;
        part = filling.value.done ? null : filling.value.value;
      }
      const MultipartUpload = { Parts: parts };
      await client.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload }), abort);
    } catch (error) {
      await client.send(new AbortMultipartUploadCommand({ ...object, UploadId })).catch((failed: unknown) => {
        logger.warn({ err: failed }, 'parts of a broken upload could not be removed from the bucket');
      });
      throw error;
    }
  }

  return {
    driver: 's3',
    detail,

    async put(key, stream, signal) {
      const object = objectOf(key);
      const abort = signal ? { abortSignal: signal } : {};
      const total = { bytes: 0, hash: createHash('sha256') };
      const parts = inParts(stream, total);
      try {
        const first = (await parts.next()).value ?? Buffer.alloc(0);
        if (first.byteLength < PART_BYTES) {
          await client.send(new PutObjectCommand({ ...object, Body: first, ContentLength: first.byteLength }), abort);
        } else {
          await putParts(object, first, parts, abort);
        }
      } finally {
        await parts.return(undefined);
      }
      return { bytes: total.bytes, sha256: total.hash.digest('hex') };
    },

    async get(key, range) {
      const Range = range && `bytes=${range.start}-${range.end}`;
      try {
        const { Body } = await client.send(new GetObjectCommand({ ...objectOf(key), ...(Range ? { Range } : {}) }));
        return Body as Readable;
      } catch (error) {
        if (statusOf(error) === 404) throw new NoBytesError(key, { cause: error });
        throw error;
      }
    },

    async delete(key) {
      const object = objectOf(key);
      await client.send(new DeleteObjectCommand(object));
      // A process that died in the middle has left parts that are not seen, but paid for.
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: object.Key }));
      for (const { UploadId, Key } of Uploads) {
        if (Key === object.Key) await client.send(new AbortMultipartUploadCommand({ ...object, UploadId }));
      }
    },

    async close() {
      client.destroy();
    },
  };
}

/**
 * The stream in parts of the one size, the last one shorter. Two buffers take turns: a part is good until the next but
 * one is asked for.
 */
async function* inParts(
  stream: ByteStream,
  total: { bytes: number; hash: ReturnType<typeof createHash> },
): AsyncGenerator<Buffer, undefined> {
  let part: Buffer = Buffer.allocUnsafe(PART_BYTES);
  let other: Buffer | null = null;
  let filled = 0;
  for await (const chunk of stream) {
    total.hash.update(chunk);
    total.bytes += chunk.byteLength;
    for (let from = 0; from < chunk.byteLength;) {
      const taken = Math.min(chunk.byteLength - from, PART_BYTES - filled);
      part.set(chunk.subarray(from, from + taken), filled);
      from += taken;
      filled += taken;
      if (filled === PART_BYTES) {
        yield part;
        [part, other] = [other ?? Buffer.allocUnsafe(PART_BYTES), part];
        filled = 0;
      }
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}

/** A bucket that is not there is an error of the settings. Whoever may not list it may still use it. */
async function findBucket(client: S3Client, Bucket: string, logger: Logger): Promise<void> {
  try {
    await client.send(new HeadBucketCommand({ Bucket }));
  } catch (error) {
    const status = statusOf(error);
    if (status === 404) throw new Error('There is no such bucket.', { cause: error });
    if (status !== 403) throw error;
    logger.warn({ bucket: Bucket }, 'the file storage does not let its bucket be looked at; going on without');
  }
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
