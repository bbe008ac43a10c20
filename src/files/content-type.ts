import { fileTypeFromBuffer, supportedMimeTypes } from 'file-type';
import { extensionOf } from './filename.ts';

/** How many of the first bytes are looked at. */
export const SAMPLE_BYTES = 64 * 1024;

export const UNKNOWN_BYTES = 'application/octet-stream';

/** Types of texts that say nothing of themselves, by the end of the name. */
const TEXT_NAMES: Readonly<Record<string, string>> = {
  c: 'text/x-c',
  cpp: 'text/x-c++',
  cs: 'text/x-csharp',
  css: 'text/css',
  csv: 'text/csv',
  go: 'text/x-golang',
  htm: 'text/html',
  html: 'text/html',
  java: 'text/x-java',
  js: 'text/javascript',
  json: 'application/json',
  jsonl: 'application/jsonl',
  md: 'text/markdown',
  mjs: 'text/javascript',
  php: 'text/x-php',
  py: 'text/x-python',
  rb: 'text/x-ruby',
  rs: 'text/x-rust',
  sh: 'application/x-sh',
  sql: 'application/sql',
  tex: 'text/x-tex',
  toml: 'application/toml',
  ts: 'application/typescript',
  tsv: 'text/tab-separated-values',
  xml: 'application/xml',
  yaml: 'application/yaml',
  yml: 'application/yaml',
};

/** Types whose bytes are those of a container, by the container's type. */
const OFFICE = 'application/vnd.openxmlformats-officedocument';
const CONTAINED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'application/zip': {
    docx: `${OFFICE}.wordprocessingml.document`,
    xlsx: `${OFFICE}.spreadsheetml.sheet`,
    pptx: `${OFFICE}.presentationml.presentation`,
    odt: 'application/vnd.oasis.opendocument.text',
    ods: 'application/vnd.oasis.opendocument.spreadsheet',
    odp: 'application/vnd.oasis.opendocument.presentation',
    epub: 'application/epub+zip',
    jar: 'application/java-archive',
  },
  'application/x-cfb': {
    doc: 'application/msword',
    xls: 'application/vnd.ms-excel',
    ppt: 'application/vnd.ms-powerpoint',
    msg: 'application/vnd.ms-outlook',
  },
};

/** Types of texts that their first characters tell. Of anything else a text begins with like other files by chance. */
const TOLD_BY_TEXT =
  /^(text\/.*|application\/(pdf|rtf|xml|postscript|pgp-encrypted|pgp-signature|x-shellscript)|image\/svg\+xml)$/;
const IS_TEXT =
  /^(text\/.+|application\/(json|jsonl|ndjson|x-ndjson|xml|yaml|x-yaml|toml|sql|javascript|typescript|x-sh|x-javascript|x-python|x-tex|graphql|csv|.+\+(json|xml|yaml))|image\/svg\+xml)$/;
/** A comment may stand before the first tag. */
const SKIPPED = /^\ufeff?(?:\s|<!--.*?-->)*/s;
const HTML = /^<(?:!doctype\s+html|html|head|body|script|iframe|title|style)[\s>/]/i;
const SVG = /^(?:<\?xml[^>]*\?>)?(?:\s|<!--.*?-->|<!doctype\s+svg[^>]*>)*<(?:[\w-]+:)?svg[\s>/]/is;

/**
 * The type of a file, from its first bytes, its name and what its sender said. The bytes have the last word: what is
 * claimed is only kept where they do not speak against it.
 */
export async function contentTypeOf(sample: Uint8Array, filename: string, claimed: string | null): Promise<string> {
  const claim = mimeOf(claimed);
  const sniffed = sample.byteLength > 0 ? await sniff(sample) : undefined;
  const text = textOf(sample);
  if (text !== null) {
    const start = text.replace(SKIPPED, '');
    if (SVG.test(start)) return 'image/svg+xml';
    if (HTML.test(start)) return 'text/html';
    if (sniffed === 'application/xml' && claim && /\bxml\b/.test(claim)) return claim;
    if (sniffed && TOLD_BY_TEXT.test(sniffed)) return sniffed;
    if (claim && IS_TEXT.test(claim)) return claim;
    return TEXT_NAMES[extensionOf(filename)] ?? 'text/plain';
  }
  if (sniffed) {
    const contained = CONTAINED[sniffed];
    if (!contained) return sniffed;
    if (claim && Object.values(contained).includes(claim)) return claim;
    return contained[extensionOf(filename)] ?? sniffed;
  }
  // Bytes that nobody knows: of a type that would have been known, or of a text, they are not.
  return claim && !IS_TEXT.test(claim) && !supportedMimeTypes.has(claim) ? claim : UNKNOWN_BYTES;
}

/** What the library makes of the bytes; it is fed by strangers, so what it throws at is a file it does not know. */
async function sniff(sample: Uint8Array): Promise<string | undefined> {
  try {
    return (await fileTypeFromBuffer(sample))?.mime;
  } catch {
    return undefined;
  }
}

/** `Text/Plain; charset=x` → `text/plain`; null for what says nothing. */
function mimeOf(claimed: string | null): string | null {
  const mime = claimed?.split(';', 1)[0]!.trim().toLowerCase() ?? '';
  if (!/^[\w.+-]{1,100}\/[\w.+-]{1,100}$/.test(mime)) return null;
  // What tools say that do not know the file: it is not about the bytes.
  return mime === UNKNOWN_BYTES || mime === 'application/x-www-form-urlencoded' || mime === 'multipart/form-data'
    ? null
    : mime;
}

/** The sample as text, or null when it is none: UTF-8, or UTF-16 with its mark, without control characters. */
function textOf(sample: Uint8Array): string | null {
  const mark = (sample[0] ?? 0) * 256 + (sample[1] ?? 0);
  const encoding = mark === 0xfffe ? 'utf-16le' : mark === 0xfeff ? 'utf-16be' : 'utf-8';
  try {
    // As a stream: the sample may end in the middle of a character.
    const text = new TextDecoder(encoding, { fatal: true }).decode(sample, { stream: true });
    return /[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}
