import type { DecodedText } from './decode-text.ts';
import type { Extraction, Format } from './extraction.ts';
import { TextBuilder } from './text-builder.ts';

/** Text, source code, JSON: the file as it is. Nothing is parsed, so nothing can be too deep. */
export function extractLines(format: Format, { text, encoding }: DecodedText, maxCharacters: number): Extraction {
  const builder = new TextBuilder(format, maxCharacters);
  builder.encoding = encoding;
  builder.at({ line: 1 });
  builder.add(text);
  return builder.finish('This file is empty.');
}
