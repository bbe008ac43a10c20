import { SENTENCE } from './sentences.ts';

/** How search results come to a model: each passage below a line that begins with its marker. */
const PASSAGE = /(?:^|\n\n)(?=【\d+:\d+†)/;
const MARKER = /^【\d+:\d+†[^】]*】/;

const MOST_SENTENCES = 3;
const LONGEST_SENTENCE = 400;
/** Part of the best sentence's score that another must have to be said as well. */
const GOOD_ENOUGH = 0.5;

interface Sentence {
  text: string;
  marker: string;
  words: ReadonlySet<string>;
}

/**
 * The sentences of search results that share most with what was asked, each with its marker; null when these are no
 * search results. Nothing is made up: what is said stands in the files.
 */
export function quotedAnswer(results: readonly string[], asked: string): string | null {
  const passages = results.flatMap((result) => result.split(PASSAGE)).filter((passage) => MARKER.test(passage));
  if (passages.length === 0) return null;
  const sentences = passages.flatMap(sentencesOf);
  const question = wordsOf(asked);
  const weight = new Map([...question].map((word) => [word, rarity(word, sentences)]));
  const scored = sentences
    .map((sentence) => {
      let score = 0;
      for (const word of sentence.words) score += weight.get(word) ?? 0;
      return { ...sentence, score: score / Math.sqrt(Math.max(8, sentence.words.size)) };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score);
  const best = distinct(scored).filter(({ score }) => score >= scored[0]!.score * GOOD_ENOUGH);
  if (best.length === 0) return 'I found nothing in the files that shares a word with your question.';
  return `The files say: ${best.map(({ text, marker }) => `${text}${marker}`).join(' ')}`;
}

function sentencesOf(passage: string): Sentence[] {
  const [marker] = MARKER.exec(passage)!;
  const text = passage.slice(passage.indexOf('\n') + 1);
  return [...text.matchAll(SENTENCE)].flatMap(([sentence]) => {
    const trimmed = sentence.replaceAll('**', '').replace(/^[\s#>*|-]+/, '').replace(/\s*\n\s*/g, ' ').trim();
    const words = wordsOf(trimmed);
    if (words.size < 3 || trimmed.length > LONGEST_SENTENCE) return [];
    return [{ text: trimmed, marker, words }];
  });
}

/** Passages overlap: the same sentence counts once. */
function distinct<Item extends { text: string }>(sentences: readonly Item[]): Item[] {
  const first = (text: string) => sentences.findIndex((item) => item.text === text);
  return sentences.filter(({ text }, i) => first(text) === i).slice(0, MOST_SENTENCES);
}

const rarity = (word: string, sentences: readonly Sentence[]): number =>
  Math.log(1 + sentences.length / (1 + sentences.filter(({ words }) => words.has(word)).length));

const COMMON = new Set('the and are was were for with that this what which who how why when where does did can could would should you your from into about have has'.split(' '));

/** Words by their beginnings, so that most forms of a word are one. */
const wordsOf = (text: string): Set<string> =>
  new Set(
    (text.toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) ?? [])
      .filter((word) => !COMMON.has(word))
      .map((word) => word.slice(0, 6)),
  );
