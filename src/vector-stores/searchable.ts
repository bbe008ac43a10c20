/** Characters that are made searchable of one chunk or query; chunks of ordinary text have some thousands. */
const MOST = 100_000;

const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}_'’$-]*(?:[./\\:@#&+][\p{L}\p{N}_$-][\p{L}\p{N}\p{M}_'’$-]*)*/gu;
/** Written without blanks: its words can only be found by pairs of characters. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}ー]+/gu;
const NUMBER = /^\p{N}+(?:[.:]\p{N}+)*$/u;
const PARTS = /[\p{L}\p{N}\p{M}]+/gu;
/** Where a name changes case: `bodyLimit`, `HTTPServer`, `utf8Decoder`. */
const HUMPS = /\p{Lu}+(?=\p{Lu}\p{Ll})|\p{Lu}?[\p{Ll}\p{M}]+|\p{Lu}+|\p{N}+|[\p{Lo}\p{Lm}]+/gu;

/**
 * A text as words for PostgreSQL's parser, the same way for what is stored and for what is asked. Names are split, so
 * that `bodyLimit` is found by `body`, by `limit` and by `body_limit`; paths and dotted names are taken apart, which the
 * parser would keep whole; what is written without blanks becomes pairs of characters.
 */
export function searchable(text: string): string {
  const words: string[] = [];
  let length = 0;
  for (const [word] of text.normalize('NFKC').matchAll(WORD)) {
    for (const part of partsOf(word)) {
      words.push(part);
      length += part.length + 1;
    }
    if (length > MOST) break;
  }
  return words.join(' ');
}

function* partsOf(word: string): Generator<string> {
  if (NUMBER.test(word)) return yield word;
  if (UNSPACED.test(word)) {
    UNSPACED.lastIndex = 0;
    for (const [run] of word.matchAll(UNSPACED)) yield* pairs(run);
    const rest = word.replace(UNSPACED, ' ');
    for (const [part] of rest.matchAll(PARTS)) yield* partsOf(part);
    return;
  }
  const parts = word.match(/[\p{L}\p{N}\p{M}]+(?:['’]\p{L}+)?/gu) ?? [];
  for (const part of parts) {
    yield part;
    const humps = /['’]/.test(part) ? [] : (part.match(HUMPS) ?? []);
    if (humps.length > 1) yield* humps;
  }
  // As one word too, so that body_limit and body-limit meet bodyLimit.
  if (parts.length > 1 && parts.length <= 4 && /^[^./\\:@#&+]+$/.test(word)) yield parts.join('');
}

function* pairs(run: string): Generator<string> {
  const characters = [...run];
  if (characters.length === 1) yield run;
  for (let at = 1; at < characters.length; at++) yield `${characters[at - 1]}${characters[at]}`;
}
