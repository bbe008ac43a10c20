import { Prisma } from '../generated/prisma/client.ts';
import type { Sql } from './db.ts';

/** Tables that are read and written in SQL, by the name of their Prisma model. */
export type Table = 'Assistant' | 'Thread' | 'Message' | 'Run' | 'RunStep' | 'File';

const FIELDS: Record<Table, readonly string[]> = {
  Assistant: Object.values(Prisma.AssistantScalarFieldEnum),
  Thread: Object.values(Prisma.ThreadScalarFieldEnum),
  Message: Object.values(Prisma.MessageScalarFieldEnum),
  Run: Object.values(Prisma.RunScalarFieldEnum),
  RunStep: Object.values(Prisma.RunStepScalarFieldEnum),
  File: Object.values(Prisma.FileScalarFieldEnum),
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

const INSERTS = new Map<Table, { name: string; text: string; fields: readonly string[] }>(
  (Object.keys(FIELDS) as Table[]).map((table) => {
    const names = FIELDS[table].map(columnOf).join(', ');
    const text = `insert into ${tableOf(table)} (${names}) select ${names} from json_populate_recordset(null::${tableOf(table)}, $1)`;
    return [table, { name: `insert-${table}`, text, fields: FIELDS[table] }];
  }),
);

/** Inserts whole rows, any number with one text. JSON columns take the value itself. */
export function insertRows(table: Table, rows: readonly object[]): Sql {
  const { name, text, fields } = INSERTS.get(table)!;
  const records = rows.map((row) =>
    Object.fromEntries(fields.map((field) => [columnOf(field), (row as Record<string, unknown>)[field] ?? null])),
  );
  return { name, text, values: [JSON.stringify(records)] };
}
