import { readFileSync, writeFileSync } from 'node:fs';
import { lexicographicSortSchema, printSchema } from 'graphql';
import { createSchema } from '../schema.ts';

/** Prints the graph as the code makes it; with `--write`, into the committed file. Tests fail while the two differ. */
export const SCHEMA_FILE = new URL('../../schema/schema.graphql', import.meta.url);

export const printedSchema = (): string => `${printSchema(lexicographicSortSchema(createSchema()))}\n`;
export const committedSchema = (): string => readFileSync(SCHEMA_FILE, 'utf8');

if (import.meta.main) {
  if (process.argv.includes('--write')) writeFileSync(SCHEMA_FILE, printedSchema());
  else process.stdout.write(printedSchema());
}
