import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

describe('a value that cannot be used is refused by the name of its variable', () => {
  const wrong: [string, string][] = [
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
    ['DATABASE_URL', 'mysql://localhost/skein'],
    ['DATABASE_URL', 'localhost:5432'],
    ['DATABASE_POOL_SIZE', '0'],
    ['REDIS_URL', 'http://localhost:6379'],
    ['ROLE', 'boss'],
    ['POLL_SECONDS', '0'],
    ['OPENAI_BASE_URL', 'ftp://models.example'],
    ['OPENAI_BASE_URL', 'models.example/v1'],
    ['OPENAI_TIMEOUT_SECONDS', 'soon'],
    ['MODEL_CONTEXT_TOKENS', '12'],
    ['SKEIN_BOOTSTRAP_KEY', 'short'],
    ['SKEIN_BOOTSTRAP_KEY', 'with blanks in the middle of it'],
    ['MAX_BODY_BYTES', '10MB'],
    ['MAX_FILE_BYTES', '512MB'],
    ['MAX_PROJECT_FILE_BYTES', '0'],
    ['FILE_URL_SECONDS', '-5'],
    ['PUBLIC_URL', 'skein.example'],
    ['STORAGE', 'floppy'],
    ['S3_ENDPOINT', 'minio:9000'],
    ['S3_FORCE_PATH_STYLE', 'yes'],
    ['MAX_CONNECTIONS', '0'],
    ['MAX_CONNECTIONS_PER_KEY', 'many'],
    ['MAX_SUBSCRIPTIONS_PER_CONNECTION', '0'],
    ['SOCKET_BUFFER_BYTES', '100'],
    ['SOCKET_STALL_SECONDS', '0'],
    ['KEEP_ALIVE_SECONDS', '0'],
    ['RUN_EXPIRES_AFTER_SECONDS', '0'],
    ['RUN_MAX_TURNS', 'Infinity'],
    ['RUN_CONCURRENCY', '1e9'],
    ['LEASE_SECONDS', ' '],
    ['DRAIN_SECONDS', '-1'],
    ['CHORES_EVERY_SECONDS', '0'],
    ['LOG_COMPACT_AFTER_SECONDS', '-1'],
    ['RETAIN_RUNS_DAYS', '0.5'],
    ['RETAIN_THREADS_DAYS', 'never'],
    ['RETAIN_FILES_DAYS', '36501'],
    ['LOG_LEVEL', 'loud'],
  ];
  test.each(wrong)('%s=%s', (name, value) => {
    const read = () => readConfig({ [name]: value });
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(new RegExp(`^  ${name}: `, 'm'));
  });

  test('all of them at once', () => {
    expect(() => readConfig({ PORT: 'x', LOG_LEVEL: 'y' })).toThrow(/PORT: [^]*LOG_LEVEL: /);
  });

  test('a heartbeat that one lost beat would make too late', () => {
    expect(() => readConfig({ LEASE_SECONDS: '10', HEARTBEAT_SECONDS: '6' })).toThrow(
      /HEARTBEAT_SECONDS.*LEASE_SECONDS/,
    );
    expect(readConfig({ LEASE_SECONDS: '10', HEARTBEAT_SECONDS: '5' }).heartbeatMs).toBe(5000);
  });

  test('what takes several processes, where the database has but one', () => {
    const DATABASE_URL = 'postgres://localhost/skein';
    for (const ROLE of ['api', 'worker']) {
      expect(() => readConfig({ ROLE })).toThrow(new RegExp(`ROLE=${ROLE} .*embedded database.*DATABASE_URL`));
      expect(readConfig({ ROLE, DATABASE_URL }).role).toBe(ROLE);
    }
    const REDIS_URL = 'redis://localhost';
    expect(() => readConfig({ REDIS_URL })).toThrow(/REDIS_URL .*embedded database.*DATABASE_URL/);
    expect(readConfig({ REDIS_URL, DATABASE_URL }).redisUrl).toBe(REDIS_URL);
    expect(readConfig({ ROLE: 'all' })).toMatchObject({ role: 'all', redisUrl: null });
  });

  test('without saying the value of a secret', () => {
    expect(() => readConfig({ SKEIN_BOOTSTRAP_KEY: 'my secret key with blanks' })).not.toThrow(/my secret/);
    expect(() => readConfig({ DATABASE_URL: 'mysql://user:password@host/db' })).not.toThrow(/password/);
    expect(() => readConfig({ REDIS_URL: 'redis://:password@host' })).not.toThrow(/password/);
  });
});

test('without any variable it is one server for this machine alone', () => {
  expect(readConfig({})).toMatchObject({
    host: '127.0.0.1',
    port: 4000,
    databaseUrl: null,
    modelServer: null,
    corsOrigins: null,
    allowedHosts: [],
    logLevel: 'info',
  });
});

test('by default only the log grows less: runs, threads and files are kept for good', () => {
  const forGood = { retainRunsMs: null, retainThreadsMs: null, retainFilesMs: null };
  expect(readConfig({})).toMatchObject({ logCompactAfterMs: 3_600_000, ...forGood });
  expect(readConfig({ LOG_COMPACT_AFTER_SECONDS: '0', RETAIN_RUNS_DAYS: '0' })).toMatchObject({
    logCompactAfterMs: null,
    ...forGood,
  });
  expect(readConfig({ RETAIN_RUNS_DAYS: '2' }).retainRunsMs).toBe(172_800_000);
});

describe('where files go', () => {
  const s3 = { STORAGE: 's3', S3_BUCKET: 'files' };

  test('is the data folder without any variable', () => {
    expect(readConfig({ DATA_DIR: '/srv' }).storage).toEqual({ driver: 'disk', folder: '/srv/files' });
  });

  test('is a bucket of Amazon, or of the server that is named, which then has its buckets in the path', () => {
    const amazon = { driver: 's3', bucket: 'files', endpoint: null, region: 'us-east-1', forcePathStyle: false };
    expect(readConfig(s3).storage).toEqual({ ...amazon, credentials: null });
    const S3_ENDPOINT = 'http://localhost:9000';
    const own = { ...amazon, endpoint: S3_ENDPOINT, forcePathStyle: true };
    const keys = { S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'b' };
    expect(readConfig({ ...s3, ...keys, S3_ENDPOINT }).storage).toEqual({
      ...own,
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    expect(readConfig({ ...s3, S3_ENDPOINT, S3_FORCE_PATH_STYLE: 'false' }).storage).toMatchObject({
      forcePathStyle: false,
    });
  });

  test.each<[what: string, environment: Record<string, string>, words: RegExp]>([
    ['a bucket that nothing uses', { S3_BUCKET: 'files' }, /S3_BUCKET.*STORAGE=s3/],
    ['a key that nothing uses', { STORAGE: 'disk', S3_SECRET_ACCESS_KEY: 'hush' }, /S3_SECRET_ACCESS_KEY.*STORAGE=s3/],
    ['no bucket', { STORAGE: 's3' }, /STORAGE=s3 needs S3_BUCKET/],
    ['half a key', { ...s3, S3_ACCESS_KEY_ID: 'a' }, /S3_ACCESS_KEY_ID needs S3_SECRET_ACCESS_KEY/],
    ['the other half', { ...s3, S3_SECRET_ACCESS_KEY: 'hush' }, /S3_SECRET_ACCESS_KEY needs S3_ACCESS_KEY_ID/],
  ])('is refused with %s', (_what, environment, words) => {
    expect(() => readConfig(environment)).toThrow(ConfigError);
    expect(() => readConfig(environment)).toThrow(words);
    expect(() => readConfig(environment)).not.toThrow(/hush/);
  });
});

test('an empty variable is an unset one', () => {
  expect(readConfig({ PORT: '', HOST: '', DATABASE_URL: '', OPENAI_API_KEY: '', LOG_LEVEL: '' })).toEqual(
    readConfig({}),
  );
});

test('lists are separated by commas, with blanks around them', () => {
  const { corsOrigins, allowedHosts } = readConfig({
    CORS_ORIGINS: ' https://a.example , https://b.example,',
    ALLOWED_HOSTS: 'a.example',
  });
  expect(corsOrigins).toEqual(['https://a.example', 'https://b.example']);
  expect(allowedHosts).toEqual(['a.example']);
});

test('a key or a URL of a model server is enough to use it', () => {
  expect(readConfig({ OPENAI_API_KEY: 'sk-x' }).modelServer).toEqual({ apiKey: 'sk-x', baseUrl: null });
  expect(readConfig({ OPENAI_BASE_URL: 'http://localhost:11434/v1' }).modelServer).toEqual({
    apiKey: null,
    baseUrl: 'http://localhost:11434/v1',
  });
});

test('what was read cannot be changed', () => {
  expect(Object.isFrozen(readConfig({}))).toBe(true);
});
