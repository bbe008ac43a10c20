import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Db, type Sql, sqlState, type Tx, UNIQUE_VIOLATION } from '../../src/db/db.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { silent, type TestDatabase } from '../database.ts';

/** What every database promises to the rooms above it, whichever of the two stands behind it. */
export function databaseContract(name: string, prepare: () => Promise<TestDatabase>): void {
  describe(name, () => {
    let database: TestDatabase;
    let db: Db;

    beforeAll(async () => {
      database = await prepare();
      db = await openDatabase({ ...database, poolSize: 4, logger: silent });
      await db.query(sql('make', 'create table note (id int primary key, text text not null)'));
    }, 60_000);
    beforeEach(() => db.query(sql('clear', 'delete from note')));
    afterAll(async () => {
      await db.close();
      await database.dispose();
    });

    const add = (id: number, text = '') => sql('add', 'insert into note values ($1, $2)', id, text);
    const ids = async (on: Db | Tx = db) =>
      (await on.query<{ id: number }>(sql('ids', 'select id from note order by id'))).map((row) => row.id);

    test('a transaction keeps what it wrote and returns what its work returned', async () => {
      expect(await db.tx(async (tx) => (await tx.query(add(1)), 'done'))).toBe('done');
      expect(await ids()).toEqual([1]);
    });

    test('a transaction whose work throws leaves nothing, and the error is the one thrown', async () => {
      const failing = db.tx(async (tx) => {
        await tx.query(add(1));
        tx.write(add(2));
        throw new Error('changed my mind');
      });
      await expect(failing).rejects.toThrow('changed my mind');
      expect(await ids()).toEqual([]);
    });

    test('the express connection is not in line behind the transactions of everybody', async () => {
      await db.express.query(sql('ids', 'select id from note order by id'));
      let ended = 0;
      const many = Array.from({ length: 100 }, (_, id) =>
        db.tx((tx) => tx.query(add(id + 1))).finally(() => (ended += 1)),
      );
      await db.express.query(add(1000));
      expect(ended).toBeLessThan(50);
      await Promise.all(many);
      expect(await ids()).toHaveLength(101);
    });

    test('a unique violation has its SQLSTATE, in a transaction and outside', async () => {
      await db.query(add(1));
      const codes = await Promise.all(
        [db.query(add(1)), db.tx((tx) => tx.query(add(1)))].map((attempt) => attempt.then(() => null, sqlState)),
      );
      expect(codes).toEqual([UNIQUE_VIOLATION, UNIQUE_VIOLATION]);
    });

    test('a failed write that nobody awaits fails the transaction', async () => {
      const failing = db.tx(async (tx) => {
        tx.write(add(1));
        tx.write(add(1));
        tx.write(add(2));
      });
      expect(await failing.then(() => null, sqlState)).toBe(UNIQUE_VIOLATION);
      expect(await ids()).toEqual([]);
    });

    test('a failed query that nobody awaits fails the transaction', async () => {
      const failing = db.tx(async (tx) => {
        void tx.query(add(1));
        void tx.query(add(1));
      });
      expect(await failing.then(() => null, sqlState)).toBe(UNIQUE_VIOLATION);
      expect(await ids()).toEqual([]);
    });

    test('a failure that the work swallows still does not pass for a commit', async () => {
      const failing = db.tx(async (tx) => {
        await tx.query(add(1));
        await tx.query(add(1)).catch(() => {});
      });
      expect(await failing.then(() => null, sqlState)).toBe(UNIQUE_VIOLATION);
      expect(await ids()).toEqual([]);
    });

    test('a failure found only at the commit fails the transaction', async () => {
      await db.query(sql('defer', 'create table deferred (id int unique deferrable initially deferred)'));
      const twice = sql('twice', 'insert into deferred values (1), (1)');
      expect(await db.tx((tx) => tx.query(twice)).then(() => null, sqlState)).toBe(UNIQUE_VIOLATION);
      expect(await db.query(sql('deferred', 'select * from deferred'))).toEqual([]);
    });

    test('a statement after the end of its transaction is refused instead of joining the next one', async () => {
      const tx = await db.tx(async (tx) => ({ tx })); // wrapped, or the promise would look for a `then`
      await expect(tx.tx.query(add(1))).rejects.toThrow('after the end of its transaction');
      expect(() => tx.tx.write(add(1))).toThrow('after the end of its transaction');
      expect(await ids()).toEqual([]);
    });

    test('statements that are sent together run in the order they were sent', async () => {
      const seen = await db.tx(async (tx) => {
        const reads: Promise<number[]>[] = [];
        for (let id = 1; id <= 20; id++) {
          tx.write(add(id));
          reads.push(ids(tx));
        }
        return Promise.all(reads);
      });
      expect(seen.map((list) => list.length)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    });

    test('after an error the same statements work again', async () => {
      for (let round = 0; round < 3; round++) {
        await db.query(add(round));
        await expect(db.query(add(round))).rejects.toThrow();
        await expect(db.tx((tx) => tx.query(add(round)))).rejects.toThrow();
      }
      expect(await ids()).toEqual([0, 1, 2]);
    });

    test('an action after the commit runs once it is committed and not when it is rolled back', async () => {
      const seen: Promise<number[]>[] = [];
      await db.tx(async (tx) => {
        tx.afterCommit(() => seen.push(ids()));
        await tx.query(add(1));
        expect(seen).toEqual([]);
      });
      expect(await Promise.all(seen)).toEqual([[1]]);
      const failing = db.tx(async (tx) => {
        tx.afterCommit(() => seen.push(ids()));
        throw new Error('no');
      });
      await expect(failing).rejects.toThrow('no');
      expect(seen).toHaveLength(1);
    });

    test('an action after the commit that throws does not make the commit look failed', async () => {
      let second = false;
      await db.tx(async (tx) => {
        tx.afterCommit(() => {
          throw new Error('nobody listens');
        });
        tx.afterCommit(() => (second = true));
        await tx.query(add(1));
      });
      expect(second).toBe(true);
      expect(await ids()).toEqual([1]);
    });

    test('a snapshot is repeatable and read only', async () => {
      const settings = await db.tx(
        (tx) =>
          tx.query(
            sql(
              'mode',
              `select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as reads`,
            ),
          ),
        'snapshot',
      );
      expect(settings).toEqual([{ level: 'repeatable read', reads: 'on' }]);
      expect(await db.tx((tx) => tx.query(add(1)), 'snapshot').then(() => null, sqlState)).toBe('25006');
    });

    test('a snapshot sees nothing that is committed while it reads', async () => {
      if (db.embedded) {
        // Transactions exclude each other there: the write waits for the snapshot to end.
        let written: Promise<unknown> | undefined;
        expect(
          await db.tx(async (tx) => [await ids(tx), ((written = db.query(add(1))), await ids(tx))], 'snapshot'),
        ).toEqual([[], []]);
        await written;
      } else {
        expect(await db.tx(async (tx) => [await ids(tx), (await db.query(add(1)), await ids(tx))], 'snapshot')).toEqual(
          [[], []],
        );
      }
      expect(await ids()).toEqual([1]);
    });

    test('transactions at the same time are all kept, and reads beside them see whole ones', async () => {
      const pair = (id: number) =>
        db.tx(async (tx) => {
          await tx.query(add(id));
          await tx.query(add(-id));
        });
      const writes = Array.from({ length: 40 }, (_, index) => pair(index + 1));
      const reads = Array.from({ length: 40 }, async () => (await ids()).reduce((sum, id) => sum + id, 0));
      const prismaReads = Array.from({ length: 40 }, () => db.prisma.project.count());
      await Promise.all(writes);
      expect(new Set(await Promise.all(reads))).toEqual(new Set([0]));
      expect(new Set(await Promise.all(prismaReads))).toEqual(new Set([0]));
      expect(await ids()).toHaveLength(80);
    });

    test('Prisma and SQL side by side each get their own rows', async () => {
      const answers = await Promise.all(
        Array.from({ length: 300 }, async (_, index) => {
          if (index % 3 === 0)
            return (await db.query<{ own: number }>(sql('own', 'select $1::int as own', index)))[0]?.own;
          return (
            await db.prisma.$queryRawUnsafe<{ prisma: number }[]>(
              `select $1::int as prisma, ${index % 7} as other`,
              index,
            )
          )[0]?.prisma;
        }),
      );
      expect(answers).toEqual(Array.from({ length: 300 }, (_, index) => index));
    });

    test('a row of a megabyte comes back as it was', async () => {
      const text = 'grüße 🧶 '.repeat(90_000);
      await db.query(add(1, text));
      const rows = await db.query<{ text: string }>(sql('text', 'select text from note'));
      expect(rows[0]?.text === text).toBe(true);
    });

    test('ids sort as bytes, whatever the order of the server', async () => {
      const query = `select id from (values ('b'), ('B'), ('a'), ('_')) as v (id) order by id collate "C"`;
      const columns = await db.query(
        sql(
          'collations',
          `select table_name, column_name from information_schema.columns where table_schema = 'public'
          and data_type = 'text' and (column_name = 'id' or column_name like '%\\_id') and collation_name is distinct from 'C'`,
        ),
      );
      expect(columns).toEqual([]);
      expect((await db.query<{ id: string }>(sql('bytes', query))).map((row) => row.id)).toEqual(['B', '_', 'a', 'b']);
    });
  });
}

function sql(name: string, text: string, ...values: unknown[]): Sql {
  return { name: `contract-${name}`, text, values };
}
