import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MIGRATIONS } from '../../src/db/migrate.ts';
import { diffMigrations } from '../../src/setup/diff-migrations.ts';

const schema = join(import.meta.dirname, '../../prisma/schema.prisma');

test('the migrations lead to the schema: if not, this shows the SQL that is missing', async () => {
  expect(await diffMigrations(MIGRATIONS, schema)).toBeNull();
}, 60_000);

test('a schema that the migrations do not lead to is noticed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-test-'));
  const changed = join(folder, 'schema.prisma');
  writeFileSync(changed, `${readFileSync(schema, 'utf8')}\nmodel Extra {\n  id String @id\n}\n`);
  expect(await diffMigrations(MIGRATIONS, changed)).toContain('CREATE TABLE "Extra"');
  await rm(folder, { recursive: true });
}, 60_000);
