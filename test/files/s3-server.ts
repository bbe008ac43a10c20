import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server that speaks as much of S3 as a storage of whole objects needs, path style, and believes no unsigned word. */
export interface S3Server {
  readonly url: string;
  readonly bucket: string;
  readonly credentials: { accessKeyId: string; secretAccessKey: string };
  readonly objects: ReadonlyMap<string, Buffer>;
  /** Multipart uploads that were begun and neither completed nor aborted, by their id. */
  readonly unfinished: ReadonlyMap<string, { key: string }>;
  /** Requests that were served so far, as `METHOD operation`. */
  readonly served: string[];
  /** Answers the next requests for an operation with a status of 500. */
  breakDown(operation: string, times: number): void;
  /** Keeps requests for an operation waiting until the answer is called. */
  hold(operation: string): () => void;
  close(): Promise<void>;
}

const REGION = 'test-1';
/** Every part but the last, as on Amazon's. */
const PART_MIN = 5 * 1024 * 1024;

export async function startS3Server(): Promise<S3Server> {
  const bucket = 'skein-files';
  const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'a secret/of+the test' };
  const objects = new Map<string, Buffer>();
  const unfinished = new Map<string, { key: string; parts: Map<number, Buffer> }>();
  const served: string[] = [];
  const broken = new Map<string, number>();
  const held = new Map<string, Promise<void>>();
  let uploads = 0;

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (error instanceof S3Error) sendXml(response, error.status, errorXml(error.code, error.message));
      else response.destroy(error as Error);
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    checkSignature(request, body, credentials.secretAccessKey, credentials.accessKeyId);
    const { pathname, searchParams } = new URL(request.url!, 'http://localhost');
    const [, inBucket, ...rest] = pathname.split('/');
    const key = decodeURIComponent(rest.join('/'));
    if (inBucket !== bucket) throw new S3Error(404, 'NoSuchBucket', 'There is no such bucket.');
    const operation = operationOf(request.method!, key, searchParams);
    served.push(operation);
    await held.get(operation);
    const failures = broken.get(operation) ?? 0;
    if (failures > 0) {
      broken.set(operation, failures - 1);
      throw new S3Error(500, 'InternalError', 'We are broken.');
    }
    const uploadId = searchParams.get('uploadId') ?? '';
    const upload = unfinished.get(uploadId);
    if (/Part|Complete|Abort/.test(operation) && upload?.key !== key)
      throw new S3Error(404, 'NoSuchUpload', 'There is no such upload.');
    switch (operation) {
      case 'HeadBucket':
        response.writeHead(200).end();
        return;
      case 'PutObject':
        objects.set(key, body);
        response.writeHead(200, { etag: etagOf(body) }).end();
        return;
      case 'GetObject':
      case 'HeadObject':
        return sendObject(request, response, objects.get(key));
      case 'DeleteObject':
        objects.delete(key);
        response.writeHead(204).end();
        return;
      case 'CreateMultipartUpload': {
        const id = `upload-${++uploads}`;
        unfinished.set(id, { key, parts: new Map() });
        return sendXml(
          response,
          200,
          `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        );
      }
      case 'UploadPart':
        upload!.parts.set(Number(searchParams.get('partNumber')), body);
        response.writeHead(200, { etag: etagOf(body) }).end();
        return;
      case 'CompleteMultipartUpload':
        objects.set(key, assembled(upload!.parts, String(body)));
        unfinished.delete(uploadId);
        return sendXml(
          response,
          200,
          `<CompleteMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key><ETag>"x"</ETag></CompleteMultipartUploadResult>`,
        );
      case 'AbortMultipartUpload':
        unfinished.delete(uploadId);
        response.writeHead(204).end();
        return;
      case 'ListMultipartUploads': {
        const prefix = searchParams.get('prefix') ?? '';
        const found = [...unfinished].filter(([, { key: of }]) => of.startsWith(prefix));
        const items = found.map(([id, { key: of }]) => `<Upload><Key>${of}</Key><UploadId>${id}</UploadId></Upload>`);
        return sendXml(
          response,
          200,
          `<ListMultipartUploadsResult><Bucket>${bucket}</Bucket><IsTruncated>false</IsTruncated>${items.join('')}</ListMultipartUploadsResult>`,
        );
      }
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    bucket,
    credentials,
    objects,
    unfinished,
    served,
    breakDown: (operation, times) => void broken.set(operation, times),
    hold(operation) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(operation, promise);
      return resolve;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

class S3Error extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function operationOf(method: string, key: string, query: URLSearchParams): string {
  const multipart = query.has('uploadId');
  if (key === '') {
    if (method === 'HEAD') return 'HeadBucket';
    if (method === 'GET' && query.has('uploads')) return 'ListMultipartUploads';
  } else if (method === 'POST') {
    if (query.has('uploads')) return 'CreateMultipartUpload';
    if (multipart) return 'CompleteMultipartUpload';
  } else if (method === 'PUT') return multipart ? 'UploadPart' : 'PutObject';
  else if (method === 'DELETE') return multipart ? 'AbortMultipartUpload' : 'DeleteObject';
  else if (method === 'GET') return 'GetObject';
  else if (method === 'HEAD') return 'HeadObject';
  throw new S3Error(501, 'NotImplemented', `${method} ${key}?${query} is not spoken here.`);
}

function sendObject(request: IncomingMessage, response: ServerResponse, object: Buffer | undefined): void {
  if (!object) throw new S3Error(404, 'NoSuchKey', 'There is no such key.');
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  const [start, end] = range
    ? [Number(range[1]), Math.min(Number(range[2]), object.length - 1)]
    : [0, object.length - 1];
  if (range && start >= object.length) throw new S3Error(416, 'InvalidRange', 'There is nothing there.');
  const part = object.subarray(start, end + 1);
  response.writeHead(range ? 206 : 200, {
    'content-length': part.length,
    etag: etagOf(object),
    ...(range ? { 'content-range': `bytes ${start}-${end}/${object.length}` } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : part);
}

function assembled(parts: Map<number, Buffer>, list: string): Buffer {
  const named = [...list.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part]) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part!)?.[1]),
    etag: /<ETag>(.*?)</.exec(part!)?.[1]?.replaceAll('&quot;', '"'),
  }));
  const chosen = named.map(({ number, etag }, i) => {
    const part = parts.get(number);
    if (!part || etagOf(part) !== etag) throw new S3Error(400, 'InvalidPart', `Part ${number} is not what was sent.`);
    if (i > 0 && number <= named[i - 1]!.number)
      throw new S3Error(400, 'InvalidPartOrder', 'The parts are out of order.');
    if (i < named.length - 1 && part.length < PART_MIN)
      throw new S3Error(400, 'EntityTooSmall', `Part ${number} is small.`);
    return part;
  });
  if (chosen.length === 0) throw new S3Error(400, 'MalformedXML', 'No parts are named.');
  return Buffer.concat(chosen);
}

/** Signature version 4, with the hash of the body where the request is signed with one. */
function checkSignature(request: IncomingMessage, body: Buffer, secret: string, accessKeyId: string): void {
  const refuse = (why: string) => new S3Error(403, 'SignatureDoesNotMatch', why);
  const { authorization = '', 'x-amz-date': date, 'x-amz-content-sha256': payload } = request.headers;
  const match = /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
    authorization,
  );
  if (!match || typeof date !== 'string' || typeof payload !== 'string') throw refuse('The request is not signed.');
  const [id, day, region, service, end] = match[1]!.split('/');
  if (id !== accessKeyId || region !== REGION || service !== 's3' || end !== 'aws4_request' || !date.startsWith(day!))
    throw refuse('It is signed for somebody or something else.');
  const signed = match[2]!.split(';');
  if (!['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => signed.includes(name)))
    throw refuse('Headers that must be signed are not.');
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(body)) throw refuse('The body is not what was signed.');
  const [path, query = ''] = request.url!.split('?');
  const canonical = [
    request.method,
    path,
    query
      .split('&')
      .filter(Boolean)
      .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
      .sort()
      .join('&'),
    ...signed.map((name) => `${name}:${String(request.headers[name] ?? '').trim()}`),
    '',
    match[2],
    payload,
  ].join('\n');
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = ['aws4_request'].reduce(hmac, hmac(hmac(hmac(`AWS4${secret}`, day!), REGION), 's3'));
  const scope = `${day}/${REGION}/s3/aws4_request`;
  const expected = hmac(key, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`);
  if (!timingSafeEqual(expected, Buffer.from(match[3]!, 'hex'))) throw refuse('The signature is wrong.');
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const etagOf = (data: Buffer): string => `"${createHash('md5').update(data).digest('hex')}"`;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function sendXml(response: ServerResponse, status: number, xml: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${xml}`);
}

const errorXml = (code: string, message: string): string =>
  `<Error><Code>${code}</Code><Message>${message}</Message></Error>`;

export const S3_REGION = REGION;
