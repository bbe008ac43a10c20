import { randomBytes } from 'node:crypto';

/**
 * Ids are `<prefix>_` and 26 characters: 10 of time (milliseconds, base 32) and 16 of chance, so that they sort by the
 * moment they were minted, bytewise. They are the graph's global ids: the prefix names the type. Callers treat them
 * as opaque.
 */
export const PREFIXES = {
  Project: 'proj',
  ApiKey: 'key',
  Assistant: 'asst',
  Thread: 'thread',
  Message: 'msg',
  Run: 'run',
  RunStep: 'step',
  ToolCall: 'call',
  File: 'file',
  Upload: 'upload',
  VectorStore: 'vs',
  VectorStoreFile: 'vsf',
  VectorStoreFileBatch: 'vsfb',
} as const;

export type Noun = keyof typeof PREFIXES;

const NOUN_OF: ReadonlyMap<string, Noun> = new Map(
  Object.entries(PREFIXES).map(([noun, prefix]) => [prefix, noun as Noun]),
);

// Crockford's alphabet, lower case: no i, l, o, u, and in ASCII order.
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ID = /^([a-z]+)_[0-9a-hjkmnp-tv-z]{26}$/;

let lastTime = 0;
let counter = 0;

/** Mints an id. Ids of one process grow strictly, also within a millisecond. */
export function mintId(noun: Noun): string {
  const now = Math.max(Date.now(), lastTime);
  // 20 bits of every id count within the millisecond, from a random start in their lower half.
  if (now === lastTime) {
    counter += 1;
  } else {
    lastTime = now;
    counter = randomBytes(3).readUIntBE(0, 3) & 0x7ffff;
  }
  return `${PREFIXES[noun]}_${base32(now, 10)}${base32(counter, 4)}${random(12)}`;
}

/** The least id that a moment can mint: what sorts before it was minted earlier. */
export function idAt(noun: Noun, time: Date): string {
  return `${PREFIXES[noun]}_${base32(Math.max(0, time.getTime()), 10)}${ALPHABET[0]!.repeat(16)}`;
}

/** Which noun an id names, or null when it is not an id of ours. */
export function nounOf(id: string): Noun | null {
  const match = ID.exec(id);
  return match ? (NOUN_OF.get(match[1]!) ?? null) : null;
}

function base32(value: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) {
    text = ALPHABET[value % 32]! + text;
    value = Math.floor(value / 32);
  }
  return text;
}

function random(length: number): string {
  let text = '';
  for (const byte of randomBytes(length)) text += ALPHABET[byte & 31];
  return text;
}
