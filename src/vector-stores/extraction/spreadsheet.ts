import { read, type WorkBook } from '@e965/xlsx';
import {
  type Extraction,
  ExtractionFailure,
  type ExtractionLimits,
  type Format,
  type SourceFile,
} from './extraction.ts';
import { TableText } from './table-text.ts';
import { TextBuilder } from './text-builder.ts';
import { readWhole } from './read-whole.ts';

/** A row of a dense sheet has holes where there are no cells. */
type Rows = readonly (readonly ({ w?: string; v?: unknown } | undefined)[] | undefined)[];

/** Every sheet as rows with the numbers that they have there. Cells are read as they are shown; formulas are not run. */
export async function extractSpreadsheet(
  format: Format,
  file: SourceFile,
  { maxCharacters, maxWholeFile }: ExtractionLimits,
): Promise<Extraction> {
  const workbook = parse(await readWhole(file, maxWholeFile));
  const builder = new TextBuilder(format, maxCharacters);
  for (const name of workbook.SheetNames) {
    const rows = (workbook.Sheets[name] as { '!data'?: Rows } | undefined)?.['!data'];
    if (!rows) continue;
    builder.section(1, name, { line: null, header: null });
    const table = new TableText(builder);
    // forEach passes over holes: a sheet may claim a million rows and have two.
    rows.forEach((row, at) => {
      const cells: string[] = [];
      row?.forEach((cell, column) => {
        while (cells.length < column) cells.push('');
        cells.push(cell?.w ?? (cell?.v === undefined || cell.v === null ? '' : String(cell.v)));
      });
      table.add(at + 1, cells, table.empty);
    });
    if (!table.empty) builder.add('\n');
  }
  return builder.finish('This workbook has no cells with text or numbers.');
}

function parse(bytes: Buffer): WorkBook {
  try {
    return read(bytes, { type: 'buffer', dense: true, cellFormula: false, cellHTML: false, cellStyles: false });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const message = error instanceof Error ? error.message : '';
    if (/password|encrypt/i.test(message))
      throw new ExtractionFailure('encrypted', 'This workbook is protected by a password. Remove it and try again.');
    throw new ExtractionFailure('invalid_file', 'This workbook is damaged. Save it anew and upload it again.', error);
  }
}
