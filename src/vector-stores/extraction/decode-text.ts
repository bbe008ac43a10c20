import { type Extraction, ExtractionFailure } from './extraction.ts';

export interface DecodedText {
  text: string;
  encoding: NonNullable<Extraction['encoding']>;
}

/** More bytes beyond ASCII than this share are no Western European text. */
const MOST_ACCENTS = 0.3;

/**
 * UTF-8, or UTF-16 with a byte order mark. Anything else is read as Windows-1252 when it can be that: no control
 * characters, none of the five bytes that the code page lacks, mostly ASCII. Lines end with `\n` afterwards.
 */
export function decodeText(bytes: Uint8Array): DecodedText {
  const encoding = encodingOf(bytes);
  const text = new TextDecoder(encoding).decode(bytes);
  if (text.includes('\0')) throw binary('it contains null characters');
  return { text: text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text, encoding };
}

function encodingOf(bytes: Uint8Array): DecodedText['encoding'] {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return wholeUnits('utf-16le', bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return wholeUnits('utf-16be', bytes);
  if (isUtf8(bytes)) return 'utf-8';
  if (bytes.includes(0)) throw binary('it contains null bytes, and no byte order mark says that it is UTF-16');
  let high = 0;
  for (const byte of bytes) {
    if (UNDEFINED_IN_1252.has(byte) || (byte < 0x20 && !ALLOWED_CONTROLS.has(byte)))
      throw binary('it is neither UTF-8 nor UTF-16, and its bytes are no Windows-1252 either');
    if (byte >= 0x80) high++;
  }
  if (high > bytes.length * MOST_ACCENTS)
    throw binary('it is neither UTF-8 nor UTF-16, and too few of its bytes are ASCII to guess at the encoding');
  return 'windows-1252';
}

const ALLOWED_CONTROLS = new Set([9, 10, 12, 13, 27]);
const UNDEFINED_IN_1252 = new Set([0x7f, 0x81, 0x8d, 0x8f, 0x90, 0x9d]);

function wholeUnits(encoding: 'utf-16le' | 'utf-16be', bytes: Uint8Array): DecodedText['encoding'] {
  if (bytes.length % 2 === 0) return encoding;
  throw new ExtractionFailure('invalid_file', 'This file says that it is UTF-16, but half a character is missing.');
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function binary(why: string): ExtractionFailure {
  return new ExtractionFailure('unsupported_file', `This is no text file: ${why}. If it is text, save it as UTF-8.`);
}
