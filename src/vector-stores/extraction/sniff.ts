import { extname } from 'node:path';
import { fileTypeFromBuffer } from 'file-type';
import { ExtractionFailure, type Format, type SourceFile } from './extraction.ts';

/** What the first bytes say. `zip` and `text` stand for families: the archive's parts, or the name, tell more. */
export type Sniffed = 'pdf' | 'rtf' | 'zip' | 'text';

/** Bytes at the start of a file that are looked at. */
export const HEAD = 4100;

const OLE = Buffer.from('d0cf11e0a1b11ae1', 'hex');
/** Name of the stream that holds an encrypted Office document, as OLE writes it. */
const ENCRYPTED_PACKAGE = Buffer.from('EncryptedPackage', 'utf16le');

/** @param directory where an OLE file lists its streams: a further look, for those files alone. */
export async function sniff(head: Buffer, file: SourceFile, directory: () => Promise<Buffer>): Promise<Sniffed> {
  if (head.length === 0) throw new ExtractionFailure('no_text', 'This file is empty.');
  const name = extension(file.filename);
  // Readers take a PDF with something before its mark; a text that explains the mark is none.
  const mark = head.subarray(0, 1024).indexOf('%PDF-');
  if (mark === 0 || (mark > 0 && (name === '.pdf' || !isText(head)))) return 'pdf';
  if (head.subarray(0, 5).toString('latin1') === '{\\rtf') return 'rtf';
  if (['PK\x03\x04', 'PK\x05\x06'].includes(head.subarray(0, 4).toString('latin1'))) return 'zip';
  if (head.subarray(0, 8).equals(OLE)) {
    if ((await directory()).includes(ENCRYPTED_PACKAGE))
      throw new ExtractionFailure(
        'encrypted',
        'This Office document is protected by a password. Remove the password and upload it again.',
      );
    throw new ExtractionFailure(
      'unsupported_file',
      'This is a document of an Office version before 2007 (.doc, .xls, .ppt). Save it as .docx, .xlsx or .pptx.',
    );
  }
  if (isText(head)) return 'text';
  const type = await fileTypeFromBuffer(head).catch(() => undefined);
  // Without a known type it may be text in an encoding that has to be guessed: decoding says what is wrong with it.
  if (!type && !(BINARY_NAMES.has(name) && head.includes(0))) return 'text';
  if (BINARY_NAMES.has(name))
    throw new ExtractionFailure(
      'invalid_file',
      `This file is named ${name} but is ${type ? `of type ${type.mime}` : 'something else'}. Upload the right file.`,
    );
  throw new ExtractionFailure(
    'unsupported_file',
    `This is a file of type ${type?.mime}: there is no text in it to search.`,
  );
}

/** Marks of two letters are no proof: a text may begin with "BM" and be no bitmap. */
function isText(head: Buffer): boolean {
  if (['fffe', 'feff'].includes(head.toString('hex', 0, 2))) return true;
  // A character that the end of the head cuts is not held against it.
  const decoded = new TextDecoder('utf-8').decode(head, { stream: true });
  return !/[\u0000-\u0008\u000e-\u001a\ufffd]/.test(decoded);
}

const extension = (filename: string): string => extname(filename).toLowerCase();

/** Names that promise a kind of file whose first bytes must say the same. */
const NAMES: Readonly<Record<string, readonly Format[]>> = {
  '.pdf': ['pdf'],
  '.docx': ['docx'],
  '.docm': ['docx'],
  '.dotx': ['docx'],
  '.pptx': ['pptx'],
  '.pptm': ['pptx'],
  '.ppsx': ['pptx'],
  '.potx': ['pptx'],
  '.xlsx': ['xlsx'],
  '.xlsm': ['xlsx'],
  '.xltx': ['xlsx'],
  '.odt': ['odt'],
  '.ods': ['ods'],
  '.odp': ['odp'],
  '.rtf': ['rtf'],
};
const BINARY_NAMES: ReadonlySet<string> = new Set([...Object.keys(NAMES), '.doc', '.xls', '.ppt']);

const TEXT_NAMES: Readonly<Record<string, Format>> = {
  '.md': 'markdown',
  '.markdown': 'markdown',
  '.html': 'html',
  '.htm': 'html',
  '.xhtml': 'html',
  '.csv': 'csv',
  '.tsv': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
};
const TEXT_TYPES: Readonly<Record<string, Format>> = {
  'text/markdown': 'markdown',
  'text/html': 'html',
  'application/xhtml+xml': 'html',
  'text/csv': 'csv',
  'text/tab-separated-values': 'csv',
  'application/json': 'json',
};

/** How a file of the text family is read: by its name, else by the type it was uploaded with, else by how it begins. */
export function textFormat({ filename, contentType }: SourceFile, start: string): Format {
  const name = extension(filename);
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  const named = TEXT_NAMES[name] ?? (name ? undefined : TEXT_TYPES[type]);
  if (named) return named;
  return !name && /^\s*(<!doctype html|<html[\s>])/i.test(start) ? 'html' : 'text';
}

const SPOKEN: Readonly<Record<Format, string>> = {
  pdf: 'a PDF',
  docx: 'a Word document',
  pptx: 'a PowerPoint presentation',
  xlsx: 'an Excel workbook',
  odt: 'an OpenDocument text',
  ods: 'an OpenDocument spreadsheet',
  odp: 'an OpenDocument presentation',
  rtf: 'an RTF document',
  html: 'a web page',
  markdown: 'Markdown',
  csv: 'a table of text',
  json: 'JSON',
  text: 'plain text',
};

/**
 * A name that promises another kind than the bytes are is refused, because one of both is a mistake: a page that says
 * "please log in", saved as report.pdf, would be found instead of the report.
 */
export function refuseLie(filename: string, format: Format): void {
  const name = extension(filename);
  const promised = NAMES[name];
  const textName = name in TEXT_NAMES || name === '.txt';
  const binary = !Object.values(TEXT_NAMES).includes(format) && format !== 'text';
  if (promised ? promised.includes(format) : !(textName && binary)) return;
  throw new ExtractionFailure(
    'invalid_file',
    `This file is named ${name} but is ${SPOKEN[format]}. Give it the right name or upload the right file.`,
  );
}
