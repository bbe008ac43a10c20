import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Logger } from 'pino';
import { UserError, type UserErrorCode } from '../errors.ts';
import type { File } from '../files/file.ts';
import type { Files, StoredFile } from '../files/files.ts';
import type { LinkMethod, Links } from '../files/links.ts';
import { FileTooLargeError } from '../files/store.ts';
import { UsedUploadError } from '../files/uploads.ts';
import { byteRangeOf } from './byte-range.ts';
import { isKnownOrigin } from './hosts.ts';
import { sendJson } from './json-answer.ts';

export interface FileRoutesOptions {
  files: Files;
  links: Links;
  corsOrigins: readonly string[] | null;
  logger: Logger;
}

/** Answers requests for files and uploads: true when the path is one of theirs. */
export type FileRoutes = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

const PATH = /^\/(files|uploads)\/([0-9a-z_]{1,100})$/;
/** Milliseconds in which nothing comes of a body that is being sent. */
const SILENCE_MS = 60_000;
/** Milliseconds that a refused sender may go on for, so that it gets to read why. */
const LINGER_MS = 2000;

export const isUploadPath = (path: string): boolean => path.startsWith('/uploads/');

/** Downloads and uploads by signed links: the link is the authority, and no key is asked for. */
export function createFileRoutes({ files, links, corsOrigins, logger }: FileRoutesOptions): FileRoutes {
  return async (request, response) => {
    const url = URL.parse(request.url!, 'http://localhost');
    const [, noun, id] = PATH.exec(url?.pathname ?? '') ?? [];
    if (!url || !noun || !id) return false;
    const method: LinkMethod = noun === 'files' ? 'GET' : 'PUT';
    allowOrigin(request, response, method);
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
    } else if (request.method !== method && !(method === 'GET' && request.method === 'HEAD')) {
      response.setHeader('allow', method === 'GET' ? 'GET, HEAD, OPTIONS' : 'PUT, OPTIONS');
      await refuseUnread(request, response, 405, 'METHOD_NOT_ALLOWED', `This link is for ${method}.`);
    } else {
      const state = links.check(method, url.pathname, url.searchParams);
      if (state !== 'good') await refuseUnread(request, response, 403, 'FORBIDDEN', FORBIDDEN[state]);
      else if (method === 'GET') await download(request, response, id);
      else await upload(request, response, id);
    }
    return true;
  };

  function allowOrigin({ headers: { origin } }: IncomingMessage, response: ServerResponse, method: LinkMethod): void {
    response.setHeader('vary', 'origin');
    if (!origin || !isKnownOrigin(origin, corsOrigins)) return;
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-allow-methods', method === 'GET' ? 'GET, HEAD' : 'PUT');
    response.setHeader('access-control-allow-headers', 'content-type, range, if-none-match, if-range, x-request-id');
    response.setHeader('access-control-expose-headers', 'content-disposition, content-range, etag, x-request-id');
    response.setHeader('access-control-max-age', '600');
  }

  async function download(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const file = await files.openLinked(id);
    if (!file) return refuseUnread(request, response, 410, 'GONE', `The file ${id} was deleted or has expired.`);
    const etag = `"${file.sha256}"`;
    const headers = { ...headersOf(file), etag };
    const { range: asked, 'if-none-match': known, 'if-range': unless } = request.headers;
    if (known && (known.trim() === '*' || known.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag))) {
      response.writeHead(304, headers).end();
      return;
    }
    const range = unless === undefined || unless === etag ? byteRangeOf(asked, file.bytes) : null;
    if (range === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${file.bytes}`);
      return refuseUnread(request, response, 416, 'RANGE_NOT_SATISFIABLE', `The file has ${file.bytes} bytes.`);
    }
    const length = range ? range.end - range.start + 1 : file.bytes;
    // Read before the head is written: bytes that cannot be had are an error with a status of its own.
    const body = request.method === 'HEAD' || length === 0 ? null : await file.read(range ?? undefined);
    response.writeHead(range ? 206 : 200, {
      ...headers,
      'content-length': length,
      ...(range ? { 'content-range': `bytes ${range.start}-${range.end}/${file.bytes}` } : {}),
    });
    if (!body) {
      response.end();
      return;
    }
    let failure: unknown;
    body.once('error', (error) => (failure = error));
    try {
      await pipeline(body, response);
    } catch (error) {
      // A reader that leaves is no error; a storage that breaks off is, and the reader learns of it by the length.
      if (failure && (failure as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  }

  async function upload(request: IncomingMessage, response: ServerResponse, id: string): Promise<void> {
    const { 'content-length': length, 'content-type': type, 'content-encoding': encoding } = request.headers;
    if (encoding && encoding !== 'identity') {
      const words = `The bytes are stored as they come: send them without Content-Encoding (${encoding.slice(0, 50)}).`;
      return refuseUnread(request, response, 415, 'UNSUPPORTED_ENCODING', words);
    }
    const left = new AbortController();
    const leave = () => left.abort(new Error('the sender of an upload has left'));
    request.once('close', () => request.complete || leave());
    request.setTimeout(SILENCE_MS, () => request.destroy());
    try {
      // Whoever stops reading must not end the connection: the sender is still to be told why.
      const bytes = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
      const file = await files.uploads.receive(id, bytes, {
        contentType: type ?? null,
        contentLength: length === undefined ? null : Number(length),
        signal: left.signal,
        begin: () => expectsContinue(request) && response.writeContinue(),
      });
      sendJson(response, 201, shown(file));
    } catch (error) {
      if (left.signal.aborted) {
        logger.debug({ err: error }, 'an upload broke off');
        response.destroy();
      } else if (error instanceof UserError) {
        const used = error instanceof UsedUploadError ? { fileId: error.fileId } : {};
        await refuseUnread(request, response, statusOf(error), codeOf(error), error.message, used);
      } else {
        throw error;
      }
    }
  }
}

const FORBIDDEN = {
  forged: 'This link is not one of this server, or was changed. Ask the graph for a new one.',
  expired: 'This link has expired. Ask the graph for a new one.',
};

const expectsContinue = ({ headers }: IncomingMessage): boolean => headers.expect?.toLowerCase() === '100-continue';

/** Nothing of a file is ever run or shown in the name of this server. */
const headersOf = (file: StoredFile) => ({
  'content-type': file.contentType,
  'content-disposition': contentDisposition(file.filename),
  'content-security-policy': "sandbox; default-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // Asked again each time, so that a deleted file is gone; what is unchanged costs no bytes.
  'cache-control': 'private, no-cache',
  'accept-ranges': 'bytes',
});

/** RFC 6266: the name in ASCII for old readers, and as it is by RFC 5987. */
function contentDisposition(filename: string): string {
  const ascii = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(filename).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}

const shown = ({ id, filename, bytes, contentType, sha256, purpose, createdAt, expiresAt }: File) => ({
  id,
  filename,
  bytes: Number(bytes),
  contentType,
  sha256,
  purpose,
  createdAt,
  expiresAt,
});

const STATUS: Partial<Record<UserErrorCode, number>> = {
  NOT_FOUND: 404,
  CONFLICT: 409,
  QUOTA_EXCEEDED: 413,
  UNSUPPORTED_FILE: 415,
};

const statusOf = (error: UserError): number => (error instanceof FileTooLargeError ? 413 : (STATUS[error.code] ?? 422));
const codeOf = (error: UserError): string => (error instanceof FileTooLargeError ? 'PAYLOAD_TOO_LARGE' : error.code);

/**
 * A refusal of a request whose body was not read to its end. A connection that is closed on a sender that still sends
 * takes the answer with it, so it is written whole, and the connection goes on for a moment.
 */
async function refuseUnread(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  more: object = {},
): Promise<void> {
  const body = JSON.stringify({ errors: [{ message, extensions: { code, ...more } }] });
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(request.complete ? {} : { connection: 'close' }),
  });
  if (request.complete || expectsContinue(request) || request.method === 'HEAD') {
    response.end(body);
    return;
  }
  response.write(body);
  await new Promise<void>((resolve) => {
    const enough = setTimeout(resolve, LINGER_MS);
    const done = () => {
      clearTimeout(enough);
      resolve();
    };
    request.once('end', done).once('close', done).resume();
  });
  response.end();
}
