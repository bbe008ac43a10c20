import type { DecodedText } from './decode-text.ts';
import type { Extraction } from './extraction.ts';
import { TextBuilder } from './text-builder.ts';

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
/** A line that the underline of a heading may follow: no quote, list, table, code or other heading. */
const TITLE = /^ {0,3}(?![>#|\-*+=]|\d+[.)]\s)\S.*$/;
/** Longer lines are no headings; matching them would take long. */
const LONGEST = 1000;

/** The file as it is; a block for each section, so that a place in it has a line and its headings. */
export function extractMarkdown({ text, encoding }: DecodedText, maxCharacters: number): Extraction {
  const builder = new TextBuilder('markdown', maxCharacters);
  builder.encoding = encoding;
  builder.at({ line: 1 });
  let added = 0;
  let line = 1;
  let fence: string | null = null;
  let previous = { start: 0, text: '' };
  const begin = (start: number, level: number, title: string, first: number): void => {
    builder.add(text.slice(added, start));
    added = start;
    builder.section(level, plain(title), { line: first });
  };
  for (let start = frontMatter(text); start < text.length; line++) {
    if (line === 1 && start > 0) line += newlines(text.slice(0, start));
    const end = text.indexOf('\n', start) + 1 || text.length;
    const current = end - start > LONGEST ? '' : text.slice(start, end).trimEnd();
    const mark = FENCE.exec(current)?.[1];
    if (fence !== null) {
      if (mark?.startsWith(fence) && current.trim() === mark) fence = null;
      previous = { start, text: '' };
    } else if (mark) {
      fence = mark;
      previous = { start, text: '' };
    } else {
      const heading = HEADING.exec(current);
      const underline = UNDERLINE.exec(current);
      if (heading?.[1]) begin(start, heading[1].length, heading[2]?.replace(/[ \t]+#+[ \t]*$/, '') ?? '', line);
      else if (underline?.[1] && TITLE.test(previous.text))
        begin(previous.start, underline[1].startsWith('=') ? 1 : 2, previous.text, line - 1);
      previous = { start, text: heading || underline ? '' : current };
    }
    start = end;
  }
  builder.add(text.slice(added));
  return builder.finish('This file is empty.');
}

/** The length of the settings between `---` that some tools put first: they are searchable, but no headings. */
function frontMatter(text: string): number {
  if (!text.startsWith('---\n')) return 0;
  const end = text.indexOf('\n---\n', 3);
  return end === -1 ? 0 : end + 5;
}

const newlines = (text: string): number => text.split('\n').length - 1;

/** A heading without its marks: links by their words, no emphasis, code or tags. */
const plain = (title: string): string =>
  title
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<[^>]{0,200}>/g, '')
    .replace(/[`*]|__/g, '')
    .replace(/\\([!-/:-@[-`{-~])/g, '$1');
