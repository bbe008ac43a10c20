/** What a person can act on; the message says how. */
export type FailureCode =
  | 'unsupported_file'
  | 'invalid_file'
  | 'encrypted'
  | 'no_text'
  | 'too_large'
  | 'timeout'
  | 'out_of_memory'
  | 'server_error';

export type Format =
  'pdf' | 'docx' | 'pptx' | 'xlsx' | 'odt' | 'ods' | 'odp' | 'rtf' | 'html' | 'markdown' | 'csv' | 'json' | 'text';

/** A stretch of the text that lies at one place of its document. Blocks are in order and do not overlap. */
export interface Block {
  /** UTF-16 range in `Extraction.text`, the end exclusive. */
  start: number;
  end: number;
  /** Titles of the sections around it, outermost first; of a sheet, its name. */
  headingPath: readonly string[];
  /** From 1; of a presentation, its slide. */
  page: number | null;
  /** Of its first character, from 1: the line of the file or, of a table, the row. Each `\n` is one more. */
  line: number | null;
  /** The names of a table's columns, for those who read one of its rows alone. */
  header: string | null;
}

export interface Extraction {
  format: Format;
  /** How the bytes of a text file were read, else null. `windows-1252` is a guess. */
  encoding: 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252' | null;
  /** Well-formed UTF-16 without null characters. Of text files: the file itself, each line ended by `\n`. */
  text: string;
  blocks: readonly Block[];
  /** What could not be read although the rest could, in words. */
  warnings: readonly string[];
}

/** Why a file gives no text. It is no fault of ours, so it is a value for those who asked and thrown only on the way. */
export class ExtractionFailure extends Error {
  override name = 'ExtractionFailure';
  readonly code: FailureCode;
  constructor(code: FailureCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface ExtractionLimits {
  /** UTF-16 units of text. */
  maxCharacters: number;
  /** Bytes of a file that its reader needs whole in memory. */
  maxWholeFile: number;
}

export interface SourceFile {
  path: string;
  /** Bytes. */
  size: number;
  filename: string;
  contentType: string | null;
}
