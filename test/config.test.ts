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
    ['OPENAI_BASE_URL', 'ftp://models.example'],
    ['OPENAI_BASE_URL', 'models.example/v1'],
    ['OPENAI_TIMEOUT_SECONDS', 'soon'],
    ['MODEL_CONTEXT_TOKENS', '12'],
    ['SKEIN_BOOTSTRAP_KEY', 'short'],
    ['SKEIN_BOOTSTRAP_KEY', 'with blanks in the middle of it'],
    ['MAX_BODY_BYTES', '10MB'],
    ['RUN_EXPIRES_AFTER_SECONDS', '0'],
    ['RUN_MAX_TURNS', 'Infinity'],
    ['RUN_CONCURRENCY', '1e9'],
    ['LEASE_SECONDS', ' '],
    ['DRAIN_SECONDS', '-1'],
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

  test('without saying the value of a secret', () => {
    expect(() => readConfig({ SKEIN_BOOTSTRAP_KEY: 'my secret key with blanks' })).not.toThrow(/my secret/);
    expect(() => readConfig({ DATABASE_URL: 'mysql://user:password@host/db' })).not.toThrow(/password/);
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
