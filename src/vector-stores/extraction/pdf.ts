import { getDocumentProxy } from 'unpdf';
import { type Extraction, ExtractionFailure, type ExtractionLimits, type SourceFile } from './extraction.ts';
import { readWhole } from './read-whole.ts';
import { TextBuilder, tooMuchText } from './text-builder.ts';

interface Line {
  text: string;
  /** Height of its letters in points, to the half. */
  size: number;
  /** Space above it, in lines of this size. */
  gap: number;
}

/** A heading is set this much larger than the running text. */
const LARGER = 1.15;
const LONGEST_HEADING = 150;
/** A file with more unreadable pages than this is damaged, not blemished. */
const MOST_BAD_PAGES = 10;

/** A block for each page and each section; headings are known by their size. */
export async function extractPdf(
  file: SourceFile,
  { maxCharacters, maxWholeFile }: ExtractionLimits,
): Promise<Extraction> {
  const builder = new TextBuilder('pdf', maxCharacters);
  const bytes = await readWhole(file, maxWholeFile);
  // The reader takes the buffer itself away from us; a copy would cost its size once more.
  const document = await open(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  try {
    const pages = await readPages(document, builder, maxCharacters);
    const level = headingLevels(pages);
    for (const [at, lines] of pages.entries()) {
      builder.at({ page: at + 1 });
      write(lines, builder, level);
    }
  } finally {
    await document.loadingTask.destroy();
  }
  return builder.finish('This PDF is a scan: its pages have no text. Run text recognition (OCR) on it first.');
}

type Document = Awaited<ReturnType<typeof getDocumentProxy>>;

async function open(data: Uint8Array): Promise<Document> {
  try {
    const document = await getDocumentProxy(data, {
      verbosity: 0,
      isEvalSupported: false,
      disableFontFace: true,
      useSystemFonts: false,
      enableXfa: false,
      stopAtErrors: false,
    });
    if (document.numPages > 0) return document;
    throw new ExtractionFailure('no_text', 'This PDF has no pages.');
  } catch (error) {
    if (error instanceof ExtractionFailure || error instanceof RangeError) throw error;
    if (error instanceof Error && error.name === 'PasswordException')
      throw new ExtractionFailure(
        'encrypted',
        'This PDF is protected by a password. Save a copy without the password and upload that.',
      );
    throw new ExtractionFailure(
      'invalid_file',
      'This PDF is damaged or incomplete. Save it anew and upload it again.',
      error,
    );
  }
}

async function readPages(document: Document, builder: TextBuilder, most: number): Promise<Line[][]> {
  const pages: Line[][] = [];
  let characters = 0;
  let bad = 0;
  for (let number = 1; number <= document.numPages; number++) {
    try {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const lines = linesOf(items);
      for (const { text } of lines) characters += text.length;
      page.cleanup();
      pages.push(lines);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      builder.warn(`Page ${number} could not be read.`);
      if (++bad > MOST_BAD_PAGES)
        throw new ExtractionFailure(
          'invalid_file',
          `More than ${MOST_BAD_PAGES} pages of this PDF cannot be read. Save it anew and upload it again.`,
          error,
        );
      pages.push([]);
    }
    if (characters > most) throw tooMuchText(most);
  }
  if (bad === document.numPages)
    throw new ExtractionFailure('invalid_file', 'No page of this PDF can be read. Save it anew and upload it again.');
  return pages;
}

type Item = Awaited<ReturnType<Awaited<ReturnType<Document['getPage']>>['getTextContent']>>['items'][number];

function linesOf(items: readonly Item[]): Line[] {
  const lines: Line[] = [];
  let text = '';
  let size = 0;
  let y: number | null = null;
  let last: number | null = null;
  const end = (): void => {
    const trimmed = text.trim();
    if (trimmed) {
      const distance = last === null || y === null ? 0 : last - y;
      lines.push({ text: trimmed, size: Math.round(size * 2) / 2, gap: size > 0 ? distance / size : 0 });
      last = y;
    }
    text = '';
    size = 0;
    y = null;
  };
  for (const item of items) {
    if (!('str' in item)) continue; // a mark of structure
    text += item.str;
    if (item.str.trim()) {
      size = Math.max(size, item.height);
      y ??= Number(item.transform[5]);
    }
    if (item.hasEOL) end();
  }
  end();
  return lines;
}

/** Sizes well above that of most letters, the largest first: level 1, 2 … */
function headingLevels(pages: readonly (readonly Line[])[]): (line: Line) => number | null {
  const letters = new Map<number, number>();
  for (const lines of pages)
    for (const { text, size } of lines) letters.set(size, (letters.get(size) ?? 0) + text.length);
  const body = [...letters].reduce((most, next) => (next[1] > most[1] ? next : most), [0, 0])[0];
  const sizes = [...letters.keys()].filter((size) => size >= body * LARGER).sort((a, b) => b - a);
  return ({ text, size }) => {
    const at = sizes.indexOf(size);
    return at === -1 || text.length > LONGEST_HEADING || !/\p{L}/u.test(text) ? null : Math.min(at + 1, 6);
  };
}

function write(lines: readonly Line[], builder: TextBuilder, levelOf: (line: Line) => number | null): void {
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as Line;
    const level = levelOf(line);
    if (level === null) {
      builder.add(`${at > 0 && line.gap > 1.8 ? '\n' : ''}${line.text}\n`);
      continue;
    }
    // A long title takes several lines of its size.
    let title = line.text;
    while (lines[at + 1]?.size === line.size && (lines[at + 1] as Line).gap < 1.8 && title.length < LONGEST_HEADING)
      title += ` ${(lines[++at] as Line).text}`;
    if (at > 0) builder.add('\n');
    builder.section(level, title);
    builder.add(`${title}\n`);
  }
  builder.add('\n');
}
