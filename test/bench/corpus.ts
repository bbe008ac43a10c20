import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '../chaos/random.ts';

const DOCUMENTS = join(import.meta.dirname, '../fixtures/retrieval/documents');

/** Sections of words that are as common, and as rare, as in real documentation. */
export interface Corpus {
  /** Section `number` as Markdown: a heading with a name of its own, and a paragraph of `words` words. */
  section(number: number, words: number): string;
  /** A question in words of a section that was made. */
  question(section: string): string;
}

export function createCorpus(seed: string): Corpus {
  const { int, pick } = createRandom(seed);
  const words = readdirSync(DOCUMENTS)
    .filter((name) => name.endsWith('.md'))
    .flatMap((name) => readFileSync(join(DOCUMENTS, name), 'utf8').match(/[A-Za-z]{2,}/g) ?? []);
  const common = new Map<string, number>();
  for (const word of words) common.set(word.toLowerCase(), (common.get(word.toLowerCase()) ?? 0) + 1);
  return {
    section(number, length) {
      const sentences: string[] = [];
      for (let left = length; left > 0; ) {
        const size = Math.min(left, int(8, 20));
        sentences.push(`${Array.from({ length: size }, () => pick(words)).join(' ')}.`);
        left -= size;
      }
      return `## Section ${number} on ref${number}x\n\n${sentences.join(' ')}\n`;
    },
    question(section) {
      const own = [...new Set(section.match(/[A-Za-z]{4,}/g) ?? [])];
      const rare = own.toSorted((a, b) => (common.get(a.toLowerCase()) ?? 0) - (common.get(b.toLowerCase()) ?? 0)).slice(0, 20);
      return `How does ${pick(rare)} ${pick(own)} with the ${pick(rare)} when ${pick(own)} is ${pick(own)}?`;
    },
  };
}
