import { lexer } from 'marked';

/** A Markdown text in pieces that are drawn on their own: paragraphs, lists, tables, blocks of code. */
export interface Blocks {
  readonly text: string;
  /** Where each begins, and what it says. The last one may still grow. */
  readonly blocks: readonly { readonly start: number; readonly raw: string }[];
}

export const NO_BLOCKS: Blocks = { text: '', blocks: [] };

/**
 * The blocks of a text. One that has only grown since is read from its last blocks on, so that a long answer costs no
 * more for each word than a short one, and its finished blocks stay the same objects.
 */
export function blocksOf(text: string, before: Blocks): Blocks {
  if (text === before.text) return before;
  // What follows a list or a paragraph may still belong to it: the last two are read again.
  const sure = text.startsWith(before.text) ? Math.max(0, before.blocks.length - 2) : 0;
  const kept = before.blocks.slice(0, sure);
  let start = before.blocks[sure]?.start ?? 0;
  if (sure === 0) start = 0;
  const read = lexer(text.slice(start)).map(({ raw }) => {
    const block = { start, raw };
    start += raw.length;
    return block;
  });
  return { text, blocks: [...kept, ...read.filter(({ raw }) => raw.trim() !== '')] };
}
