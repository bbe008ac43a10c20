import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { chunkRanges } from '../chunk.ts';
import { tokenEnds } from '../chunk-tokens.ts';
import { extractFile } from './extract-file.ts';
import { ExtractionFailure } from './extraction.ts';
import { type ExtractionAnswer, type ExtractionRequest, ANSWERS, LENGTHS, MOST_JSON } from './request.ts';

// The process that reads files. It is started by child-process.ts without rights, ends with its parent, and is killed
// at any time.

type Answer = ExtractionAnswer extends infer A ? (A extends unknown ? Omit<A, 'cpuMs'> : never) : never;

async function answer({ file, limits, chunking }: ExtractionRequest): Promise<{ head: Answer; text: string }> {
  const { text, ...rest } = await extractFile(file, limits);
  const chunks = chunking ? chunkRanges({ ...rest, text }, (await tokenEnds())(text), chunking) : [];
  return { head: { ok: true, ...rest, chunks }, text };
}

function failed(error: unknown): Answer {
  if (error instanceof ExtractionFailure) return { ok: false, code: error.code, message: error.message };
  const { name, message, stack } = error instanceof Error ? error : new Error(typeof error);
  if (/call stack/i.test(message))
    return { ok: false, code: 'invalid_file', message: 'This file is nested too deeply to be read.' };
  if (
    /allocation failed|out of memory|invalid (string|array|typed array|array buffer) length|cannot create a string/i.test(
      message,
    )
  )
    return { ok: false, code: 'out_of_memory', message: OUT_OF_MEMORY };
  const frames = (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return { ok: false, code: 'server_error', message: UNEXPECTED, fault: { name, stack: frames.slice(0, 8) } };
}

const OUT_OF_MEMORY = 'Reading this file needs more memory than is allowed. Split it into smaller files.';
const UNEXPECTED = 'Reading this file failed for a reason that is not the file’s. The log of the server says more.';

const output = new Socket({ fd: ANSWERS, readable: false, writable: true });
output.on('error', () => process.exit(1)); // nobody listens any more

function send(head: Answer, text: string): Promise<void> {
  const { user, system } = process.cpuUsage();
  let json = Buffer.from(JSON.stringify({ ...head, cpuMs: Math.round((user + system) / 1000) }));
  let body = Buffer.from(text);
  if (json.length > MOST_JSON) {
    const message = 'This file has too many and too long headings. Split it into smaller files.';
    json = Buffer.from(JSON.stringify({ ok: false, code: 'too_large', message, cpuMs: 0 }));
    body = Buffer.alloc(0);
  }
  const lengths = Buffer.alloc(LENGTHS);
  lengths.writeUInt32LE(json.length, 0);
  lengths.writeUInt32LE(body.length, 4);
  output.write(lengths);
  output.write(json);
  return new Promise((done) => output.write(body, () => done()));
}

for await (const line of createInterface({ input: process.stdin })) {
  let head: Answer;
  let text = '';
  try {
    ({ head, text } = await answer(JSON.parse(line) as ExtractionRequest));
  } catch (error) {
    head = failed(error);
  }
  await send(head, text);
}
process.exit(0);
