import { Prisma } from '../generated/prisma/client.ts';
import type { Sql } from './db.ts';

/** Tables that are read and written in SQL, by the name of their Prisma model. */
export type Table = 'Assistant' | 'Thread' | 'Message' | 'Run' | 'RunStep' | 'File' | 'VectorStore' | 'VectorStoreFile' | 'VectorStoreFileBatch';

const FIELDS: Record<Table, readonly string[]> = {
  Assistant: Object.values(Prisma.AssistantScalarFieldEnum),
  Thread: Object.values(Prisma.ThreadScalarFieldEnum),
  Message: Object.values(Prisma.MessageScalarFieldEnum),
  Run: Object.values(Prisma.RunScalarFieldEnum),
  RunStep: Object.values(Prisma.RunStepScalarFieldEnum),
  File: Object.values(Prisma.FileScalarFieldEnum),
  VectorStore: Object.values(Prisma.VectorStoreScalarFieldEnum),
  VectorStoreFile: Object.values(Prisma.VectorStoreFileScalarFieldEnum),
  VectorStoreFileBatch: Object.values(Prisma.VectorStoreFileBatchScalarFieldEnum),
};

export const columnOf = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
export const tableOf = (table: Table): string => columnOf(table[0]!.toLowerCase() + table.slice(1));

/** The select list of a table: every column under its camelCase name, so that no row is rewritten after the driver. */
export function columns(table: Table, alias: string, except: readonly string[] = []): string {
  return FIELDS[table]
    .filter((field) => !except.includes(field))
    .map((field) => `${alias}.${columnOf(field)} as "${field}"`)
    .join(', ');
}

/** Columns whose values are SQL, with its parameters from `$2` on; `name` tells the text apart from others'. */
export interface Computed {
  name: string;
  columns: Record<string, string>;
  values: unknown[];
}

const insertText = (table: Table, computed: Record<string, string> = {}): string => {
  const names = FIELDS[table].map(columnOf);
  const values = FIELDS[table].map((field) => computed[field] ?? columnOf(field));
  return `insert into ${tableOf(table)} (${names.join(', ')}) select ${values.join(', ')} from json_populate_recordset(null::${tableOf(table)}, $1)`;
};

const INSERTS = new Map((Object.keys(FIELDS) as Table[]).map((table) => [table, insertText(table)]));

/** Inserts whole rows, any number with one text. JSON columns take the value itself. */
export function insertRows(table: Table, rows: readonly object[], computed?: Computed): Sql {
  const records = rows.map((row) =>
    Object.fromEntries(
      FIELDS[table].map((field) => [columnOf(field), (row as Record<string, unknown>)[field] ?? null]),
    ),
  );
  return {
    name: `insert-${table}${computed ? `-${computed.name}` : ''}`,
    text: computed ? insertText(table, computed.columns) : INSERTS.get(table)!,
    values: [JSON.stringify(records), ...(computed?.values ?? [])],
  };
}
