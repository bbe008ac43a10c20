import { readFile } from 'node:fs/promises';
import { ExtractionFailure, type SourceFile } from './extraction.ts';

/** For readers that need all bytes at once. */
export function readWhole(file: SourceFile, most: number): Promise<Buffer> {
  if (file.size <= most) return readFile(file.path);
  const limit = `${Math.floor(most / 2 ** 20)} MB`;
  throw new ExtractionFailure(
    'too_large',
    `A file of this kind may have ${limit}; this one has ${Math.ceil(file.size / 2 ** 20)} MB. Split it into smaller files.`,
  );
}
