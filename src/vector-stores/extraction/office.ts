import { type OfficeContentNode, OfficeParser } from 'officeparser';
import { type Extraction, ExtractionFailure, type ExtractionLimits, type SourceFile } from './extraction.ts';
import { readWhole } from './read-whole.ts';
import { rowText } from './table-text.ts';
import { TextBuilder } from './text-builder.ts';

type OfficeFormat = 'odt' | 'odp' | 'rtf';

/** OpenDocument and RTF. Archives are verified before: the library keeps what it unpacks. */
export async function extractOffice(
  format: OfficeFormat,
  file: SourceFile,
  { maxCharacters, maxWholeFile }: ExtractionLimits,
): Promise<Extraction> {
  const builder = new TextBuilder(format, maxCharacters);
  const bytes = await readWhole(file, maxWholeFile);
  for (const node of await parse(bytes, format)) write(node, builder);
  return builder.finish('This document has no text.');
}

async function parse(bytes: Buffer, format: OfficeFormat): Promise<OfficeContentNode[]> {
  try {
    const { content } = await OfficeParser.parseOffice(bytes, {
      fileType: format,
      ignoreComments: true,
      ignoreHeadersAndFooters: true,
      ignoreSlideMasters: true,
      outputErrorToConsole: false,
      decompressionLimits: { maxTableCells: 200_000 },
    });
    return content;
  } catch (error) {
    if (error instanceof RangeError && !/call stack/i.test(error.message)) throw error;
    throw new ExtractionFailure('invalid_file', 'This document is damaged. Save it anew and upload it again.', error);
  }
}

function write(node: OfficeContentNode, builder: TextBuilder): void {
  if (node.type === 'slide') {
    builder.section(1, '', { page: node.metadata?.slideNumber ?? null });
    for (const child of node.children ?? []) write(child, builder);
    for (const note of node.notes ?? []) write(note, builder);
  } else if (node.type === 'heading') {
    builder.section(node.metadata?.level ?? 1, textOf(node));
    builder.add(`${textOf(node)}\n\n`);
  } else if (node.type === 'table') {
    for (const row of node.children ?? []) builder.add(`${rowText((row.children ?? []).map(textOf))}\n`);
    builder.add('\n');
  } else if (node.type === 'list') builder.add(`- ${textOf(node)}\n`);
  else if (node.children?.some(({ type }) => type !== 'text')) for (const child of node.children) write(child, builder);
  else {
    const text = textOf(node);
    if (text) builder.add(`${text}\n\n`);
  }
}

const textOf = (node: OfficeContentNode): string => node.text ?? (node.children ?? []).map(textOf).join(' ');
