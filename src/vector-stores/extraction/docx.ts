import type { Archive } from './archive.ts';
import { type Extraction, ExtractionFailure } from './extraction.ts';
import { attribute, flowText, readXml } from './open-xml.ts';
import { TextBuilder } from './text-builder.ts';

const DOCUMENT = 'word/document.xml';
const STYLES = 'word/styles.xml';
const NOTES = ['word/footnotes.xml', 'word/endnotes.xml'];

/** Paragraphs in the order of the file, headings by their style, tables as rows; the notes stand at the end. */
export async function extractDocx(archive: Archive, maxCharacters: number): Promise<Extraction> {
  if (!archive.has(DOCUMENT))
    throw new ExtractionFailure('invalid_file', 'This Word document is damaged: its text is missing.');
  const builder = new TextBuilder('docx', maxCharacters);
  const levels = archive.has(STYLES) ? await headingLevels(archive) : new Map<string, number>();
  const flow = flowText({
    paragraph({ text, style, outline, list }) {
      const level = outline !== null && outline < 9 ? outline + 1 : style === null ? undefined : levels.get(style);
      if (level) builder.section(level, text);
      builder.add(list && !level ? `- ${text}\n` : `${text}\n\n`);
    },
    row: (text) => builder.add(`${text}\n`),
    tableEnd: () => builder.add('\n'),
  });
  await readXml(archive, DOCUMENT, flow);
  const notes = NOTES.filter((name) => archive.has(name));
  if (notes.length > 0) builder.at({ headingPath: [] });
  for (const name of notes) await readXml(archive, name, flow);
  return builder.finish('This document has no text. If it shows pictures of text, run text recognition (OCR) first.');
}

interface Style {
  level: number | null;
  basedOn: string | null;
}

/** Styles inherit: a house style that is based on a heading is one. */
async function headingLevels(archive: Archive): Promise<Map<string, number>> {
  const styles = new Map<string, Style>();
  let current: Style | null = null;
  await readXml(archive, STYLES, {
    open(name, attributes) {
      const value = attribute(attributes, 'val') ?? '';
      if (name === 'style') {
        current = { level: null, basedOn: null };
        styles.set(attribute(attributes, 'styleId') ?? '', current);
      } else if (!current) return;
      else if (name === 'basedOn') current.basedOn = value;
      else if (name === 'outlineLvl' && Number(value) < 9) current.level = Number(value) + 1;
      else if (name === 'name') {
        const named = /^heading ([1-9])$/i.exec(value)?.[1] ?? (/^title$/i.test(value) ? '1' : undefined);
        if (named) current.level ??= Number(named);
      }
    },
    close(name) {
      if (name === 'style') current = null;
    },
  });
  const levels = new Map<string, number>();
  for (const [id, style] of styles) {
    let from: Style | undefined = style;
    // As deep as Word lets styles go; a circle ends there as well.
    for (let depth = 0; from && from.level === null && depth < 10; depth++) from = styles.get(from.basedOn ?? '');
    if (from?.level) levels.set(id, from.level);
  }
  return levels;
}
