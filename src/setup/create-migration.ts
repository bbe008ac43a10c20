import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { diffMigrations, LOCK, LOCK_FILE } from './diff-migrations.ts';

/** `node src/setup/create-migration.ts NAME` writes what prisma/schema.prisma has and prisma/migrations lack. */
const prisma = fileURLToPath(new URL('../../prisma', import.meta.url));
const migrations = join(prisma, 'migrations');
const name = process.argv[2];
if (!name || !/^[a-z][a-z0-9_]*$/.test(name)) {
  console.error('usage: node src/setup/create-migration.ts NAME   (lower case letters, digits and _)');
  process.exit(1);
}

mkdirSync(migrations, { recursive: true });
const sql = await diffMigrations(migrations, join(prisma, 'schema.prisma'));
if (sql === null) {
  console.log('prisma/migrations and prisma/schema.prisma agree: nothing to write');
} else {
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
  const folder = join(migrations, `${timestamp}_${name}`);
  mkdirSync(folder);
  writeFileSync(join(folder, 'migration.sql'), sql);
  writeFileSync(join(migrations, LOCK_FILE), LOCK);
  console.log(`written: ${join(folder, 'migration.sql')}`);
  console.log('Read it before you commit it: the engine knows neither your rows nor COLLATE "C" of the id columns.');
}
