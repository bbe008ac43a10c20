import type { DecodedText } from './decode-text.ts';
import type { Extraction } from './extraction.ts';
import { TableText } from './table-text.ts';
import { TextBuilder } from './text-builder.ts';

/** Characters that are looked at to find what separates the cells. */
const SAMPLE = 64 * 1024;

/** Records as rows, numbered from 1 as the file has them. A quoted cell may span lines; a record is one line of text. */
export function extractCsv({ text, encoding }: DecodedText, maxCharacters: number): Extraction {
  const builder = new TextBuilder('csv', maxCharacters);
  builder.encoding = encoding;
  const table = new TableText(builder);
  let number = 0;
  for (const cells of records(text, delimiterOf(text))) table.add(++number, cells, number === 1);
  return builder.finish('This table is empty.');
}

function delimiterOf(text: string): string {
  const end = text.indexOf('\n');
  const first = text.slice(0, Math.min(end === -1 ? text.length : end, SAMPLE)).replace(/"[^"]*"/g, '');
  const counts = [',', ';', '\t', '|'].map((delimiter) => ({ delimiter, count: first.split(delimiter).length }));
  return counts.reduce((best, next) => (next.count > best.count ? next : best)).delimiter;
}

/** RFC 4180, read generously: a quote that is never closed ends with the file. */
function* records(text: string, delimiter: string): Generator<string[]> {
  const special = new RegExp(`[${delimiter === '|' ? '\\|' : delimiter}\n]`, 'g');
  let cells: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell: string;
    if (text[at] === '"') {
      let end = text.indexOf('"', at + 1);
      while (end !== -1 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
      if (end === -1) end = text.length;
      cell = text.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
    } else cell = '';
    special.lastIndex = at;
    const stop = special.exec(text)?.index ?? text.length;
    cells.push(cell + text.slice(at, stop));
    at = stop + 1;
    if (text[stop] === delimiter && stop < text.length) continue;
    yield cells;
    cells = [];
  }
  if (cells.length > 0) yield cells;
}
