import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GRAPHIQL_EXAMPLES } from '../../src/server/graphiql-examples.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { jsonWith, operation, send } from './send.ts';

let skein: TestSkein;
let page: Awaited<ReturnType<typeof send>>;
const accept = 'text/html,application/xhtml+xml';

beforeAll(async () => {
  skein = await startSkein();
  page = await send(skein.url, { headers: { accept } });
});
afterAll(() => skein.close());

const policy = () =>
  new Map(
    String(page.headers['content-security-policy'])
      .split('; ')
      .map((rule) => [rule.split(' ')[0]!, rule.split(' ').slice(1)]),
  );

test('GraphiQL is shown to browsers, without a key', () => {
  expect(page.status).toBe(200);
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(page.text).toMatch(/^<!doctype html>/);
  expect(page.text).toContain('YogaGraphiQL.renderYogaGraphiQL');
  expect(page.text).toContain('<input id="skein-key" type="password"');
});

test('the page holds no key, whoever asks for it and however', async () => {
  for (const path of ['/graphql', `/graphql?key=${skein.key}`, `/graphql?query=${skein.key}`]) {
    const { text } = await send(skein.url, { path, headers: { accept, authorization: `Bearer ${skein.key}` } });
    expect(text).toBe(page.text);
    expect(text).not.toContain(skein.key);
  }
});

test('everything that the page needs is in it', () => {
  const elements = page.text.replaceAll(/<(script|style)\b[^>]*>[^]*?<\/\1>/g, '<$1></$1>');
  expect(elements.length).toBeLessThan(3000);
  expect(elements).not.toMatch(/\b(src|action)=|https?:|@import/);
  expect([...elements.matchAll(/href="([^"]*)"/g)].map(([, href]) => href)).toEqual(['data:,']);
  const styles = [...page.text.matchAll(/<style>([^]*?)<\/style>/g)].map(([, style]) => style).join('\n');
  expect(styles).not.toMatch(/@import|url\(\s*["']?(?!data:)[a-z]+:|url\(\s*["']?\//);
});

test('the policy of the page lets it run its own scripts and talk to this server alone', () => {
  const { host } = new URL(skein.url);
  const rules = policy();
  expect(rules.get('default-src')).toEqual(["'none'"]);
  expect(rules.get('connect-src')).toEqual(["'self'", `ws://${host}`, `wss://${host}`]);
  expect(rules.get('frame-ancestors')).toEqual(["'none'"]);
  expect(rules.get('base-uri')).toEqual(["'none'"]);
  const scripts = [...page.text.matchAll(/<script>([^]*?)<\/script>/g)].map(([, script]) => script!);
  expect(scripts).toHaveLength(3);
  expect(rules.get('script-src')).toEqual(
    scripts.map((script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`),
  );
  expect(page.headers).toMatchObject({
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
});

test('the key stays in the tab: out of the address, out of what lasts', () => {
  const script = page.text.slice(page.text.lastIndexOf('<script>'));
  expect(script).toContain("history.replaceState(null, '', location.pathname + location.search)");
  expect(script).toContain('sessionStorage.setItem(STORED, candidate)');
  expect(script).not.toContain('localStorage');
  expect(script).toContain('shouldPersistHeaders: false');
});

test('the page comes compressed to who takes it so', async () => {
  const response = await fetch(`${skein.url}/graphql`, { headers: { accept, 'accept-encoding': 'gzip' } });
  expect(response.headers.get('content-encoding')).toBe('gzip');
  expect(await response.text()).toBe(page.text);
});

test('clients that take JSON get JSON at the same address', async () => {
  const answer = await send(skein.url, {
    body: operation('{ viewer { version } }'),
    headers: { ...jsonWith(skein.key), accept: 'application/json' },
  });
  expect(answer.json.data).toEqual({ viewer: { version: '0.1.0' } });
});

test("the examples in GraphiQL's tabs lead from a key to an answer that is seen coming", async () => {
  const [viewer, createAssistant, startRun, followRun] = GRAPHIQL_EXAMPLES.map(({ query, variables }) => ({
    query,
    variables: JSON.parse(variables ?? '{}') as never,
  }));
  expect(await skein.query(viewer!.query)).toMatchObject({ viewer: { modelServer: { driver: 'offline' } } });
  type Made = { createAssistant: { assistant: { id: string } } };
  const { assistant } = (await skein.query<Made, object>(createAssistant!.query, createAssistant!.variables))
    .createAssistant;
  const { input } = startRun!.variables as { input: object };
  type Started = { startRun: { run: { id: string } } };
  const { run } = (
    await skein.query<Started, object>(startRun!.query, { input: { ...input, assistantId: assistant.id } })
  ).startRun;
  const client = skein.socket();
  const events: { __typename: string; status?: string }[] = [];
  for await (const { data } of client.iterate({ query: followRun!.query, variables: { runId: run.id } })) {
    events.push((data as { runEvents: (typeof events)[number] }).runEvents);
  }
  await client.dispose();
  expect(events.some(({ __typename }) => __typename === 'MessageDelta')).toBe(true);
  expect(events.at(-1)).toMatchObject({ __typename: 'RunStatusChanged', status: 'COMPLETED' });
});
