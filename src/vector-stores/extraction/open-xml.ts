import { Parser } from 'htmlparser2';
import type { Archive } from './archive.ts';
import { ExtractionFailure } from './extraction.ts';
import { rowText } from './table-text.ts';

type Attributes = Readonly<Record<string, string>>;

export interface XmlEvents {
  open(name: string, attributes: Attributes): void;
  text?(data: string): void;
  close?(name: string): void;
}

/** Deeper markup is no document; it would only cost memory. */
const DEEPEST = 1000;

/**
 * Reads one XML part as it is unpacked, with names without their prefixes. Entities of a document type are never
 * expanded and nothing outside is read, because the parser knows neither.
 */
export async function readXml(archive: Archive, name: string, { open, text, close }: XmlEvents): Promise<void> {
  let depth = 0;
  let elements = 0;
  const parser = new Parser(
    {
      onopentag(tag, attributes) {
        elements++;
        if (++depth > DEEPEST)
          throw new ExtractionFailure('invalid_file', 'This file is damaged: its markup is nested too deeply.');
        open(local(tag), attributes);
      },
      ontext: (data) => text?.(data),
      onclosetag(tag) {
        depth--;
        close?.(local(tag));
      },
    },
    { xmlMode: true },
  );
  // The parts of these files are UTF-8 or UTF-16 by their standard; a mark at the start says which.
  let decoder: TextDecoder | undefined;
  for await (const piece of archive.read(name)) {
    decoder ??= new TextDecoder(encodingOf(piece));
    parser.write(decoder.decode(piece, { stream: true }));
  }
  parser.end(decoder?.decode());
  if (elements === 0) throw new ExtractionFailure('invalid_file', 'This file is damaged: a part of it is no XML.');
}

function encodingOf([first, second]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}

const local = (name: string): string => name.slice(name.indexOf(':') + 1);

export const attribute = (attributes: Attributes, name: string): string | undefined => {
  for (const key in attributes) if (local(key) === name) return attributes[key];
  return undefined;
};

export interface Paragraph {
  text: string;
  /** Its style's id. */
  style: string | null;
  /** From 0, as the file says it of this paragraph alone. */
  outline: number | null;
  list: boolean;
}

export interface Flow {
  paragraph(paragraph: Paragraph): void;
  row(text: string): void;
  tableEnd(): void;
}

/** Markup whose text nobody sees: what was deleted, and what is there again for older programs. */
const UNSEEN = new Set(['del', 'moveFrom', 'Fallback']);
const PROPERTIES = new Set(['pPr', 'rPr']);

/**
 * Text of Word and of drawings alike, which share the names that matter: `p` paragraph, `t` text, `tbl`/`tr`/`tc` table.
 * Text boxes are paragraphs within paragraphs; what stands in a cell, also an inner table, becomes the cell's text.
 */
export function flowText(flow: Flow): Required<XmlEvents> {
  const paragraphs: Paragraph[] = [];
  const rows: string[][] = [];
  const cells: string[] = [];
  let unseen = 0;
  let properties = 0;
  let capturing = 0;
  const say = (text: string): void => {
    const paragraph = paragraphs.at(-1);
    if (paragraph) paragraph.text += text;
  };
  return {
    open(name, attributes) {
      if (UNSEEN.has(name)) unseen++;
      if (PROPERTIES.has(name)) properties++;
      const paragraph = paragraphs.at(-1);
      if (name === 'p') paragraphs.push({ text: '', style: null, outline: null, list: false });
      else if (name === 'tr') rows.push([]);
      else if (name === 'tc') cells.push('');
      else if (name === 't') capturing++;
      else if (unseen > 0) return;
      else if (properties > 0) {
        if (!paragraph) return;
        if (name === 'pStyle') paragraph.style = attribute(attributes, 'val') ?? null;
        if (name === 'outlineLvl') paragraph.outline = Number(attribute(attributes, 'val') ?? 9);
        if (name === 'numPr') paragraph.list = true;
      } else if (name === 'tab') say('\t');
      else if (name === 'br' || name === 'cr') say('\n');
      else if (name === 'noBreakHyphen') say('-');
    },
    text(data) {
      if (capturing > 0 && unseen === 0) say(data);
    },
    close(name) {
      if (UNSEEN.has(name)) unseen--;
      if (PROPERTIES.has(name)) properties--;
      if (name === 't') capturing--;
      if (name === 'p') {
        const paragraph = paragraphs.pop();
        if (!paragraph?.text.trim()) return;
        if (cells.length > 0) cells[cells.length - 1] += ` ${paragraph.text}`;
        else flow.paragraph(paragraph);
      } else if (name === 'tc') {
        const cell = cells.pop() ?? '';
        rows.at(-1)?.push(cell);
      } else if (name === 'tr') {
        const text = rowText(rows.pop() ?? []);
        if (!text) return;
        if (cells.length > 0) cells[cells.length - 1] += ` ${text}`;
        else flow.row(text);
      } else if (name === 'tbl' && cells.length === 0) flow.tableEnd();
    },
  };
}
