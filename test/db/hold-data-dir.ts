import { lockDataDir } from '../../src/db/data-dir-lock.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { silent } from '../database.ts';

/**
 * A second process for tests. `lock DIR`: waits for a line, asks for the lock, says `held` or `refused: why` and stays.
 * `write DIR`: opens the embedded database, says `N` once row N is committed, and goes on until it is killed.
 */
const [mode, dataDir] = process.argv.slice(2) as ['lock' | 'write', string];

if (mode === 'lock') {
  process.stdin.once('data', () => {
    try {
      lockDataDir(dataDir);
      console.log('held');
    } catch (error) {
      console.log(`refused: ${(error as Error).message}`);
    }
  });
  console.log('waiting');
  setInterval(() => {}, 60_000);
} else {
  const db = await openDatabase({ databaseUrl: null, dataDir, poolSize: 1, logger: silent });
  await db.query({ name: 'make', text: 'create table if not exists row (id serial primary key)', values: [] });
  for (;;) {
    const [row] = await db.tx((tx) =>
      tx.query<{ id: number }>({ name: 'add', text: 'insert into row default values returning id', values: [] }),
    );
    console.log(row!.id);
  }
}
