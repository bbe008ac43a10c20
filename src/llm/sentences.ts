/** A line break within a sentence: behind a line of text as long as such lines are, and before what goes on in it. */
const WRAPPED = String.raw`(?<=[^\n|]{30})\n(?=[ \t]{0,4}[\p{Ll}(\x60])`;
const INNER = String.raw`(?:[^\n.!?。！？]|${WRAPPED})*`;

/**
 * Sentences of a text one after the other; lines that are no running text (rows, headings, items of a list) are one each.
 * To be used with `matchAll`, or sticky from an offset on.
 */
export const SENTENCE = new RegExp(
  String.raw`${INNER}(?:[.!?](?!\s)${INNER})*(?:[.!?。！？]+(?=\s|$)|[。！？]|\n|$)`,
  'gu',
);
