import { setImmediate } from 'node:timers/promises';
import { type Embedder, normalize } from './embeddings.ts';

const DIMENSIONS = 768;
/** Texts between two looks at the event loop. */
const BURST = 16;
/** Characters of one text that count. */
const MOST = 50_000;
const GRAM = 4;
/** How much a word, two in a row, and four characters count. */
const WEIGHT = { word: 1, pair: 0.6, gram: 0.3 };

/** Words that say nothing of what a text is about. */
const COMMON = new Set(
  (
    'a an and are as at be been but by can could did do does for from had has have how i if in into is it its me my no ' +
    'not of on or our should so such than that the their them then there these they this to was we were what when ' +
    'where which who why will with would you your'
  ).split(' '),
);

/**
 * The built-in embedder: words, pairs of words and parts of words, each hashed to a place and a sign. It finds what is
 * spelled alike and knows of no meaning; the same text gives the same vector for ever.
 */
export function createHashEmbedder(): Embedder {
  return {
    name: 'hash-768',
    driver: 'hash-768',
    dimensions: DIMENSIONS,
    async embed(texts, signal) {
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        if (vectors.length % BURST === BURST - 1) await setImmediate();
        signal.throwIfAborted();
        vectors.push(hashVector(text));
      }
      return vectors;
    },
    async close() {},
  };
}

const NAMES = /[\p{L}\p{N}]+/gu;
const HUMPS = /\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{N}+|[\p{Lo}\p{Lm}]+/gu;
const PLAIN = /^(?:[A-Z]?[a-z]+|[0-9]+)$/;

/** Kinds of features, as what their hashes begin with. */
const WORD = 0x811c9dc5;
const PAIR = 0x2f0b4c47;
const PART = 0x6a09e667;

function hashVector(text: string): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  const counts = [new Map<number, number>(), new Map<number, number>(), new Map<number, number>()] as const;
  const [words, pairs, grams] = counts;
  const count = (features: Map<number, number>, hash: number) => features.set(hash, (features.get(hash) ?? 0) + 1);
  let previous = 0;
  const add = (part: string) => {
    const word = part.toLowerCase();
    if (COMMON.has(word)) return;
    const hash = hashOf(WORD, word, 0, word.length);
    count(words, hash);
    if (previous !== 0) count(pairs, mixed(PAIR ^ Math.imul(previous, 31) ^ hash));
    previous = hash;
    const padded = ` ${word} `;
    for (let at = 0; at + GRAM <= padded.length; at++) count(grams, hashOf(PART, padded, at, at + GRAM));
  };
  for (const [name] of text.slice(0, MOST).normalize('NFKC').matchAll(NAMES)) {
    if (PLAIN.test(name)) add(name);
    else for (const [part] of name.matchAll(HUMPS)) add(part);
  }
  [WEIGHT.word, WEIGHT.pair, WEIGHT.gram].forEach((weight, kind) => {
    for (const [hash, times] of counts[kind as 0 | 1 | 2])
      vector[hash % DIMENSIONS]! += (hash & 0x8000_0000 ? -weight : weight) * (times === 1 ? 1 : 1 + Math.log(times));
  });
  return normalize(vector);
}

/** FNV-1a over UTF-16 units. */
function hashOf(seed: number, text: string, from: number, to: number): number {
  let hash = seed;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  return mixed(hash);
}

/** A last stir: the low bits of FNV alone are too even. */
function mixed(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846c_a68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
