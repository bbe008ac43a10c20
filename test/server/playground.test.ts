import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { send } from './send.ts';

let skein: TestSkein;

beforeAll(async () => {
  skein = await startSkein();
});

afterAll(async () => {
  await skein.close();
});

/** What the page loads, as its HTML names it. */
async function loadedBy(): Promise<string[]> {
  const { text } = await send(skein.url, { path: '/' });
  return [...text.matchAll(/(?:src|href)="\.(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
}

test('stands at the front of the server, for everybody and without a key in it', async () => {
  const page = await send(skein.url, { path: '/' });
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.headers['cache-control']).toBe('no-store');
  expect(page.text).not.toContain(skein.key);
});

test('runs only scripts of its own, and reaches only its own server', async () => {
  const page = await send(skein.url, { path: '/' });
  const policy = String(page.headers['content-security-policy']).split('; ');
  const { host } = new URL(skein.url);
  expect(policy).toContain(`default-src 'none'`);
  expect(policy).toContain(`script-src 'self'`);
  expect(policy).toContain(`connect-src 'self' ws://${host} wss://${host}`);
  expect(policy).toContain(`frame-ancestors 'none'`);
  expect(policy.join()).not.toMatch(/unsafe|\*/);
  // Nothing inline, which the policy would refuse.
  expect(page.text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=/);
});

test('is made of files that are there, small when asked for, and good for ever under their names', async () => {
  const paths = await loadedBy();
  expect(paths.length).toBeGreaterThan(1);
  for (const path of paths) {
    const whole = await send(skein.url, { path });
    const zipped = await send(skein.url, { path, headers: { 'accept-encoding': 'gzip' } });
    expect(whole.status).toBe(200);
    expect(whole.headers['cache-control']).toContain('immutable');
    expect(whole.headers['content-encoding']).toBeUndefined();
    expect(zipped.headers['content-encoding']).toBe('gzip');
  }
});

test.each(['/assets/', '/assets/none.js', '/assets/../../package.json', '/assets/%2e%2e/%2e%2e/package.json', '/index.html'])(
  'has nothing else: %s',
  async (path) => {
    const answer = await send(skein.url, { path });
    expect(answer.status).toBe(404);
  },
);

test('is only looked at', async () => {
  expect((await send(skein.url, { path: '/', method: 'POST', body: 'x' })).status).toBe(404);
  const head = await send(skein.url, { path: '/', method: 'HEAD' });
  expect([head.status, head.text]).toEqual([200, '']);
});
