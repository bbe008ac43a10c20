import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CreateUploadDocument, FileWithLinkDocument, UploadFileDocument } from '../../src/generated/graphql/graphql.ts';
import type { TestSkein } from '../skein.ts';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The body, when it is JSON. */
  json: Record<string, unknown> & { errors?: { message: string; extensions: Record<string, unknown> }[] };
}

/** One HTTP request as it stands; a body that is a stream goes in chunks unless the headers say its length. */
export function http(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: AsyncIterable<Uint8Array> | Uint8Array } = {},
): Promise<Reply> {
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const framing = body instanceof Uint8Array ? { 'content-length': String(body.byteLength) } : {};
    const outgoing = httpRequest(url, { method, headers: { ...framing, ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(chunks);
        const isJson = /json/.test(String(response.headers['content-type'])) && whole.length > 0;
        const json = isJson ? (JSON.parse(String(whole)) as Reply['json']) : {};
        resolve({ status: response.statusCode!, headers: response.headers, body: whole, json });
      });
    });
    outgoing.on('error', reject);
    if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
    else void send(outgoing, body).catch((error: Error) => outgoing.destroy(error));
  });
}

async function send(outgoing: ReturnType<typeof httpRequest>, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) {
    if (outgoing.destroyed) return;
    if (!outgoing.write(chunk)) await drained(outgoing);
  }
  outgoing.end();
}

const drained = (outgoing: ReturnType<typeof httpRequest>) =>
  new Promise<void>((resolve) => {
    const done = () => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.on('drain', done).on('close', done);
  });

export const put = (url: string, body: AsyncIterable<Uint8Array> | Uint8Array, headers: Record<string, string> = {}) =>
  http(url, { method: 'PUT', body, headers });

/** A link to PUT to. */
export async function newUpload(skein: TestSkein, input: object = {}, key?: string): Promise<string> {
  const { createUpload } = await skein.query(CreateUploadDocument, { input: { filename: 'a.txt', ...input } }, key);
  expect(createUpload.userErrors).toEqual([]);
  return createUpload.uploadUrl!;
}

/** A stored file, by the graph. */
export async function newFile(
  skein: TestSkein,
  data: string | Uint8Array,
  name = 'a.txt',
  more: object = {},
  key?: string,
) {
  const file = new File([data as BlobPart], name);
  const { uploadFile } = await skein.query(UploadFileDocument, { input: { file, ...more } }, key);
  expect(uploadFile.userErrors).toEqual([]);
  return uploadFile.file!;
}

export const linkOf = async (skein: TestSkein, id: string): Promise<string> =>
  (await skein.query(FileWithLinkDocument, { id })).file!.url;

export const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

export const codeOf = ({ json }: Reply): unknown => json.errors?.[0]?.extensions.code;

/** Names of everything in the folder of a server's disk storage. */
export async function onDisk({ database }: TestSkein): Promise<string[]> {
  const entries = await readdir(join(database.dataDir, 'files'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}
