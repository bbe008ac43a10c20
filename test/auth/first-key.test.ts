import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { rowsOf } from '../besides.ts';
import { testDatabase, type TestDatabase } from '../database.ts';
import { jsonWith, operation, send } from '../server/send.ts';
import { startProcess } from '../server/skein-process.ts';
import { startSkein } from '../skein.ts';

// Some of these start whole processes; a busy machine takes its time over that.
vi.setConfig({ testTimeout: 60_000 });

const REVOKE = 'mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { apiKey { id } } }';

describe('the first key', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.dispose());

  const accepted = async (url: string, key: string) =>
    (await send(url, { body: operation('{ viewer { scopes } }'), headers: jsonWith(key) })).json.data;

  test('is made at the first start, printed once and kept for the operator alone; the link carries it every time', async () => {
    const file = join(database.dataDir, 'api-key');
    const first = await startProcess(database);
    const key = new URL(first.link).hash.replace('#key=', '');
    expect(key).toMatch(/^sk-skein-[\w-]{32}$/);
    expect(
      first
        .output()
        .split('\n')
        .filter((line) => line.startsWith('Your API key')),
    ).toEqual([`Your API key, shown this once and kept in ${file}: ${key}`]);
    expect(readFileSync(file, 'utf8')).toBe(`${key}\n`);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    expect(await accepted(first.url, key)).toEqual({ viewer: { scopes: ['ADMIN', 'PROJECT'] } });
    expect(new URL(first.url).hostname).toBe('127.0.0.1');
    first.kill();
    expect(await first.ended).toEqual({ code: 0, signal: null });

    const second = await startProcess(database);
    expect(second.output()).not.toMatch(/Your API key/);
    expect(new URL(second.link).hash).toBe(`#key=${key}`);
    expect(JSON.stringify([...first.log(), ...second.log()])).not.toContain(key);
    second.kill();
    await second.ended;
    expect(await rowsOf(database, 'api_key')).toHaveLength(1);
  });

  test('is left out of the link when it is no longer good', async () => {
    const file = join(database.dataDir, 'api-key');
    writeFileSync(file, 'sk-skein-of-another-database\n');
    const started = await startProcess(database);
    expect(started.link).toBe(`${started.url}/`);
    expect(started.log().some(({ msg }) => /no longer good/.test(String(msg)))).toBe(true);
    started.kill();
    await started.ended;
  });
});

test('SKEIN_BOOTSTRAP_KEY sets the first key, and no file is written', async () => {
  const key = 'sk-bootstrap-0123456789+abc';
  const skein = await startSkein({ SKEIN_BOOTSTRAP_KEY: key });
  try {
    expect(skein.key).toBe(key);
    expect(await skein.query('{ viewer { scopes } }')).toEqual({ viewer: { scopes: ['ADMIN', 'PROJECT'] } });
    expect(existsSync(join(skein.database.dataDir, 'api-key'))).toBe(false);
    await skein.restart();
    expect(await skein.query('{ viewer { scopes } }')).toEqual({ viewer: { scopes: ['ADMIN', 'PROJECT'] } });
    const other = 'sk-bootstrap-another-9876543210';
    await skein.restart({ SKEIN_BOOTSTRAP_KEY: other });
    for (const good of [key, other]) expect((await skein.raw('{ viewer { version } }', {}, good)).status).toBe(200);
  } finally {
    await skein.close();
  }
});

test('a bootstrap key that was revoked stays revoked', async () => {
  const key = 'sk-bootstrap-0123456789';
  const skein = await startSkein({ SKEIN_BOOTSTRAP_KEY: key });
  try {
    const { viewer } = await skein.query<{ viewer: { apiKey: { id: string } } }, object>(
      '{ viewer { apiKey { id } } }',
    );
    await skein.query(REVOKE, { input: { apiKeyId: viewer.apiKey.id } });
    await skein.restart();
    expect((await skein.raw('{ viewer { version } }')).status).toBe(401);
    expect(skein.skein.key).toBeNull();
  } finally {
    await skein.close();
  }
});
