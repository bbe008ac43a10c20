import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { openEmbedded } from '../../src/db/embedded.ts';
import { openDatabase } from '../../src/db/open-database.ts';
import { silent } from '../database.ts';

const TIMEOUT = 60_000;
const holder = join(import.meta.dirname, 'hold-data-dir.ts');
const cleanups: (() => Promise<unknown> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function temporaryFolder(...inside: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-test-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return join(folder, ...inside);
}

/** A process that uses the data folder, and the lines that it says. */
function start(mode: 'lock' | 'write', dataDir: string) {
  const child = spawn(process.execPath, [holder, mode, dataDir], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  cleanups.push(kill);
  return { child, kill, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function openAndClose(dataDir: string, templates?: string): Promise<void> {
  const embedded = await openEmbedded({ dataDir, logger: silent, ...(templates && { templates }) });
  await embedded.close();
}

const count = { name: 'count', text: 'select count(*)::int as count, max(id) as last from row', values: [] };

test(
  'a second process is refused in words that say who is there and what to do',
  async () => {
    const dataDir = await temporaryFolder();
    const { child, lines } = start('lock', dataDir);
    await lines.next();
    child.stdin.write('\n');
    expect((await lines.next()).value).toBe('held');
    const attempt = openEmbedded({ dataDir, logger: silent });
    await expect(attempt).rejects.toThrow(
      new RegExp(`${dataDir} is in use by another Skein \\(process ${child.pid} on .*DATA_DIR.*DATABASE_URL`),
    );
  },
  TIMEOUT,
);

test(
  'a second use by the same process is refused as well, and works once the first is closed',
  async () => {
    const dataDir = await temporaryFolder();
    const first = await openEmbedded({ dataDir, logger: silent });
    await expect(openEmbedded({ dataDir, logger: silent })).rejects.toThrow('is in use');
    await first.close();
    await openAndClose(dataDir);
  },
  TIMEOUT,
);

test(
  'of processes that start at the same instant exactly one gets the data folder',
  async () => {
    const dataDir = await temporaryFolder();
    const starters = Array.from({ length: 5 }, () => start('lock', dataDir));
    await Promise.all(starters.map(({ lines }) => lines.next()));
    for (const { child } of starters) child.stdin.write('\n');
    const answers = await Promise.all(starters.map(async ({ lines }) => String((await lines.next()).value)));
    expect(answers.filter((answer) => answer === 'held')).toHaveLength(1);
    expect(answers.filter((answer) => answer.startsWith('refused: The data folder'))).toHaveLength(4);
  },
  TIMEOUT,
);

test(
  'what was committed survives a kill in the middle of writing, and the lock does not',
  async () => {
    const dataDir = await temporaryFolder();
    const { lines, kill, child } = start('write', dataDir);
    let last = 0;
    while (last < 50) last = Number((await lines.next()).value);
    await kill();
    expect(JSON.parse(readFileSync(join(dataDir, 'holder.json'), 'utf8'))).toMatchObject({ pid: child.pid });
    const db = await openDatabase({ databaseUrl: null, dataDir, poolSize: 1, logger: silent });
    cleanups.push(() => db.close());
    const [row] = await db.query<{ count: number; last: number }>(count);
    expect(row!.count).toBeGreaterThanOrEqual(last);
  },
  TIMEOUT,
);

test(
  'a lock left behind by a killed process refuses nobody, even when its pid belongs to another process now',
  async () => {
    const dataDir = await temporaryFolder();
    const { child, lines, kill } = start('lock', dataDir);
    await lines.next();
    child.stdin.write('\n');
    await lines.next();
    await kill();
    const note = JSON.parse(readFileSync(join(dataDir, 'holder.json'), 'utf8')) as object;
    writeFileSync(join(dataDir, 'holder.json'), JSON.stringify({ ...note, pid: process.ppid }));
    await openAndClose(dataDir);
  },
  TIMEOUT,
);

test(
  'a note of the holder that was cut off is no obstacle',
  async () => {
    const dataDir = await temporaryFolder();
    writeFileSync(join(dataDir, 'holder.json'), '{"pid": 1');
    await openAndClose(dataDir);
  },
  TIMEOUT,
);

test(
  'the socket folder is for the owner alone, and gone after the close',
  async () => {
    const dataDir = await temporaryFolder();
    await mkdir(join(dataDir, 'sock'), { mode: 0o755 });
    const { socketDir, close } = await openEmbedded({ dataDir, logger: silent });
    expect(socketDir).toBe(join(dataDir, 'sock'));
    expect(statSync(socketDir).mode & 0o777).toBe(0o700);
    await close();
    expect((await readdir(dataDir)).sort()).toEqual(['lock', 'postgres']);
  },
  TIMEOUT,
);

test(
  'a data folder with a long path works, with its socket in a private temporary folder',
  async () => {
    const dataDir = await temporaryFolder('long'.repeat(30));
    const embedded = await openEmbedded({ dataDir, logger: silent });
    expect(embedded.socketDir.startsWith(join(tmpdir(), 'skein-db-'))).toBe(true);
    expect(statSync(embedded.socketDir).mode & 0o777).toBe(0o700);
    await embedded.close();
    expect(existsSync(embedded.socketDir)).toBe(false);
    const db = await openDatabase({ databaseUrl: null, dataDir, poolSize: 1, logger: silent });
    await db.close();
  },
  TIMEOUT,
);

test(
  'the temporary folder that a killed process left is removed by the next start',
  async () => {
    const dataDir = await temporaryFolder('long'.repeat(30));
    const { lines, kill } = start('write', dataDir);
    await lines.next();
    await kill();
    const { temporaryFolder: left } = JSON.parse(readFileSync(join(dataDir, 'holder.json'), 'utf8')) as {
      temporaryFolder: string;
    };
    expect(existsSync(left)).toBe(true);
    await openAndClose(dataDir);
    expect(existsSync(left)).toBe(false);
  },
  TIMEOUT,
);

test(
  'variables that are meant for another PostgreSQL server do not lead astray',
  async () => {
    const misleading = {
      PGHOST: 'example.invalid',
      PGPORT: '1',
      PGUSER: 'nobody',
      PGDATABASE: 'nothing',
      PGSSLMODE: 'require',
    };
    const before = Object.fromEntries(Object.keys(misleading).map((name) => [name, process.env[name]]));
    Object.assign(process.env, misleading);
    cleanups.push(() => {
      for (const [name, value] of Object.entries(before))
        value === undefined ? delete process.env[name] : (process.env[name] = value);
    });
    const db = await openDatabase({ databaseUrl: null, dataDir: await temporaryFolder(), poolSize: 1, logger: silent });
    cleanups.push(() => db.close());
    expect(await db.query({ name: 'one', text: 'select 1 as one', values: [] })).toEqual([{ one: 1 }]);
    expect(await db.prisma.project.count()).toBe(0);
  },
  TIMEOUT,
);

test(
  'pgvector can be made',
  async () => {
    const db = await openDatabase({ databaseUrl: null, dataDir: await temporaryFolder(), poolSize: 1, logger: silent });
    cleanups.push(() => db.close());
    await db.query({ name: 'extension', text: 'create extension vector', values: [] });
    const distance = { name: 'distance', text: `select '[1,2]'::vector <-> '[1,4]'::vector as distance`, values: [] };
    expect(await db.query(distance)).toEqual([{ distance: 2 }]);
  },
  TIMEOUT,
);

test(
  'the first fresh start leaves a template, later ones begin with it, and a broken one is made anew with a warning',
  async () => {
    const templates = await temporaryFolder('cache', 'skein');
    await openAndClose(await temporaryFolder(), templates);
    const [name] = readdirSync(templates);
    expect(readdirSync(templates)).toHaveLength(1);

    const made = statSync(join(templates, name!)).ino;
    await openAndClose(await temporaryFolder(), templates);
    expect(statSync(join(templates, name!)).ino).toBe(made);

    truncateSync(join(templates, name!, 'global', 'pg_control'), 100);
    const warnings: string[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const embedded = await openEmbedded({ dataDir: await temporaryFolder(), logger, templates });
    cleanups.push(() => embedded.close());
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('is of no use');
    expect(readdirSync(templates)).toEqual([name]);
  },
  TIMEOUT,
);

test(
  'what a start that was killed had only half made is made again',
  async () => {
    const dataDir = await temporaryFolder();
    await mkdir(join(dataDir, 'postgres.new', 'base'), { recursive: true });
    writeFileSync(join(dataDir, 'postgres.new', 'PG_VERSION'), '18\n');
    await openAndClose(dataDir);
    expect((await readdir(dataDir)).sort()).toEqual(['lock', 'postgres']);
  },
  TIMEOUT,
);

test(
  'a database that does not start says so and keeps nobody else from the data folder',
  async () => {
    const dataDir = await temporaryFolder();
    await mkdir(join(dataDir, 'postgres'));
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '9\n');
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(openEmbedded({ dataDir, logger: silent })).rejects.toThrow(
        `The embedded database in ${dataDir} does not start`,
      );
    }
  },
  TIMEOUT,
);
