import { Parser } from 'htmlparser2';
import type { DecodedText } from './decode-text.ts';
import type { Extraction } from './extraction.ts';
import { TextBuilder } from './text-builder.ts';

const SILENT = new Set(['script', 'style', 'noscript', 'template', 'svg', 'iframe', 'object', 'select', 'math']);
const PARAGRAPHS = new Set(
  'address article aside blockquote details dialog div dl fieldset figcaption figure footer form header hr main nav ol p pre section summary table ul title'.split(
    ' ',
  ),
);
const LINES = new Set(['br', 'dd', 'dt', 'li', 'option', 'tr', 'caption']);
const MARKS: Readonly<Record<string, string>> = { li: '-', td: '|', th: '|' };
const HEADING = /^h([1-6])$/;
/** Characters that are handed to the parser at a time. */
const PIECE = 64 * 1024;

/** What a browser would show, in one pass and without a tree: a hundred thousand nested tags are only many tags. */
export function extractHtml({ text, encoding }: DecodedText, maxCharacters: number): Extraction {
  const builder = new TextBuilder('html', maxCharacters);
  builder.encoding = encoding;
  let silent = 0;
  let preformatted = 0;
  let heading: { level: number; text: string } | null = null;
  /** Line breaks that are due before the next word: 1 ends a line, 2 a paragraph. */
  let due = 0;
  let blank = false;
  let written = false;

  function say(words: string): void {
    if (!words) return;
    if (due > 0 && written) builder.add('\n'.repeat(due));
    else if (blank && written) builder.add(' ');
    due = 0;
    blank = false;
    written = true;
    builder.add(words);
  }

  function speak(data: string): void {
    if (heading) heading.text += data;
    else if (preformatted > 0) say(data);
    else {
      blank ||= /^\s/.test(data);
      const words = data.replace(/\s+/g, ' ').trim();
      say(words);
      if (words) blank = /\s$/.test(data);
    }
  }

  function endHeading(): void {
    if (!heading) return;
    const { level, text: words } = heading;
    heading = null;
    const title = words.replace(/\s+/g, ' ').trim();
    if (!title) return;
    if (written) builder.add('\n\n');
    due = 0;
    blank = false;
    builder.section(level, title);
    say(title);
    due = 2;
  }

  const parser = new Parser({
    onopentag(name, attributes) {
      if (SILENT.has(name)) silent++;
      if (silent > 0) return;
      const level = HEADING.exec(name)?.[1];
      if (level) {
        endHeading();
        heading = { level: Number(level), text: '' };
      } else if (name === 'img') speak(attributes.alt ? ` ${attributes.alt} ` : '');
      else if (heading) heading.text += LINES.has(name) ? ' ' : '';
      else if (PARAGRAPHS.has(name)) due = 2;
      else if (LINES.has(name)) due = Math.max(due, 1);
      if (name === 'pre') preformatted++;
      const mark = heading ? undefined : MARKS[name];
      if (mark && (name === 'li' || due === 0)) {
        blank = true;
        say(mark);
        blank = true;
      }
    },
    ontext(data) {
      if (silent === 0) speak(data);
    },
    onclosetag(name) {
      if (SILENT.has(name)) silent = Math.max(0, silent - 1);
      if (silent > 0) return;
      if (name === 'pre') preformatted = Math.max(0, preformatted - 1);
      if (HEADING.test(name)) endHeading();
      else if (PARAGRAPHS.has(name)) due = 2;
      else if (LINES.has(name)) due = Math.max(due, 1);
    },
  });
  for (let at = 0; at < text.length;) {
    // A piece that ends within a surrogate pair would make two broken characters of it.
    const end = at + PIECE + (isHighSurrogate(text.charCodeAt(at + PIECE - 1)) ? 1 : 0);
    parser.write(text.slice(at, end));
    at = end;
  }
  parser.end();
  endHeading();
  return builder.finish('This page has no text of its own: what it shows is made by its scripts.');
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
