import { open } from 'node:fs/promises';
import { type Archive, openArchive } from './archive.ts';
import { extractCsv } from './csv.ts';
import { decodeText } from './decode-text.ts';
import { extractDocx } from './docx.ts';
import {
  type Extraction,
  ExtractionFailure,
  type ExtractionLimits,
  type Format,
  type SourceFile,
} from './extraction.ts';
import { extractHtml } from './html.ts';
import { extractLines } from './lines.ts';
import { extractMarkdown } from './markdown.ts';
import { extractOffice } from './office.ts';
import { verifyOpenDocument } from './open-document.ts';
import { extractPdf } from './pdf.ts';
import { extractPptx } from './pptx.ts';
import { readWhole } from './read-whole.ts';
import { HEAD, refuseLie, sniff, textFormat } from './sniff.ts';
import { extractSpreadsheet } from './spreadsheet.ts';

/** Bytes that one UTF-16 unit may take in an encoding that is read: three in UTF-8. */
const BYTES_PER_CHARACTER = 3;
/** OLE writes its list of streams anywhere; small files are looked through whole. */
const DIRECTORY = 8 * 2 ** 20;

/** Runs in a process of its own: whatever a file does to its reader, nobody else is hurt. */
export async function extractFile(file: SourceFile, limits: ExtractionLimits): Promise<Extraction> {
  const sniffed = await sniff(await bytesOf(file.path, 0, HEAD), file, async () =>
    Buffer.concat([
      await bytesOf(file.path, 0, DIRECTORY),
      await bytesOf(file.path, Math.max(0, file.size - DIRECTORY), DIRECTORY),
    ]),
  );
  switch (sniffed) {
    case 'pdf':
      refuseLie(file.filename, 'pdf');
      return extractPdf(file, limits);
    case 'rtf':
      refuseLie(file.filename, 'rtf');
      return extractOffice('rtf', file, limits);
    case 'zip':
      return extractZip(file, limits);
    case 'text':
      return extractText(file, limits);
  }
}

async function extractZip(file: SourceFile, limits: ExtractionLimits): Promise<Extraction> {
  const archive = await openArchive(file.path);
  try {
    const format = await formatOf(archive);
    refuseLie(file.filename, format);
    if (format === 'docx') return await extractDocx(archive, limits.maxCharacters);
    if (format === 'pptx') return await extractPptx(archive, limits.maxCharacters);
    await archive.verify();
    if (format !== 'xlsx') await verifyOpenDocument(archive);
    if (format === 'xlsx' || format === 'ods') return await extractSpreadsheet(format, file, limits);
    return await extractOffice(format, file, limits);
  } finally {
    archive.close();
  }
}

type ZipFormat = 'docx' | 'pptx' | 'xlsx' | 'odt' | 'ods' | 'odp';

const MAIN_PARTS: readonly [part: RegExp, format: ZipFormat][] = [
  [/^word\//, 'docx'],
  [/^ppt\//, 'pptx'],
  [/^xl\//, 'xlsx'],
];
const MIME_TYPES: Readonly<Record<string, ZipFormat>> = {
  'application/vnd.oasis.opendocument.text': 'odt',
  'application/vnd.oasis.opendocument.spreadsheet': 'ods',
  'application/vnd.oasis.opendocument.presentation': 'odp',
};

async function formatOf(archive: Archive): Promise<ZipFormat> {
  if (archive.has('[Content_Types].xml'))
    for (const [part, format] of MAIN_PARTS) for (const name of archive.names()) if (part.test(name)) return format;
  if (archive.has('mimetype')) {
    let type = '';
    for await (const piece of archive.read('mimetype')) {
      type += Buffer.from(piece).toString('latin1');
      if (type.length > 200) break;
    }
    const format = MIME_TYPES[type.trim()];
    if (format) return format;
  }
  throw new ExtractionFailure(
    'unsupported_file',
    'This is an archive, not a document. Unpack it and upload the files that are in it.',
  );
}

async function extractText(file: SourceFile, { maxCharacters }: ExtractionLimits): Promise<Extraction> {
  const decoded = decodeText(await readWhole(file, maxCharacters * BYTES_PER_CHARACTER));
  const format: Format = textFormat(file, decoded.text.slice(0, HEAD));
  refuseLie(file.filename, format);
  if (format === 'markdown') return extractMarkdown(decoded, maxCharacters);
  if (format === 'html') return extractHtml(decoded, maxCharacters);
  if (format === 'csv') return extractCsv(decoded, maxCharacters);
  return extractLines(format, decoded, maxCharacters);
}

async function bytesOf(path: string, start: number, length: number): Promise<Buffer> {
  await using handle = await open(path);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, start);
  return buffer.subarray(0, bytesRead);
}
