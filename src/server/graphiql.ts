import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { GRAPHIQL_EXAMPLES } from './graphiql-examples.ts';

export interface GraphiqlPage {
  html: Buffer;
  gzipped: Buffer;
  /** Headers for a page that was asked for under this name; the name must be one that the server goes by. */
  headers(host: string): Record<string, string>;
}

const FILES = join(import.meta.dirname, 'graphiql-page');
let page: Promise<GraphiqlPage> | null = null;

/**
 * GraphiQL with everything inline, so that no request leaves for another host, and a form that asks for a key. The
 * page is the same for everybody and holds none. Put together on first use: its parts weigh nine megabytes.
 */
export function graphiqlPage(endpoint: string): Promise<GraphiqlPage> {
  page ??= build(endpoint).catch((error: unknown) => {
    page = null;
    throw error;
  });
  return page;
}

async function build(endpoint: string): Promise<GraphiqlPage> {
  const parts = await import('@graphql-yoga/render-graphiql/graphiql');
  const [script, style] = await Promise.all(
    ['script.js', 'style.css'].map((name) => readFile(join(FILES, name), 'utf8')),
  );
  const workers = {
    editorWorkerService: parts.editorWorkerService,
    json: parts.jsonWorker,
    graphql: parts.graphqlWorker,
  };
  // The editor's workers come out of this page as well: as blobs, which `worker-src` names.
  const setUp = `(() => {
  const blob = (text) => URL.createObjectURL(new Blob([text], { type: 'application/javascript' }));
  const workers = Object.fromEntries(Object.entries(${inScript(workers)}).map(([name, text]) => [name, blob(text)]));
  self.MonacoEnvironment = { globalAPI: false, getWorkerUrl: (_module, label) => workers[label] ?? workers.editorWorkerService };
})();`;
  const scripts = [setUp, parts.js, script!];
  const html = Buffer.from(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Skein · GraphiQL</title>
<link rel="icon" href="data:,">
<style>${parts.css}</style>
<style>${style}</style>
</head>
<body>
<noscript>GraphiQL needs JavaScript.</noscript>
<header id="skein-bar" hidden>
<b>Skein</b><span id="skein-who"></span><span id="skein-notice" role="status"></span>
<button id="skein-change" class="skein-button" type="button">Change key</button>
</header>
<form id="skein-ask" hidden autocomplete="off">
<h1>Skein</h1>
<p>Enter a key of this server. It stays in this tab, and is sent to this server alone.</p>
<label for="skein-key">API key</label>
<input id="skein-key" type="password" autocomplete="off" spellcheck="false" placeholder="sk-skein-…" required>
<p id="skein-wrong" class="wrong" role="alert"></p>
<div class="buttons">
<button id="skein-cancel" class="skein-button" type="button" hidden>Cancel</button>
<button id="skein-submit" class="skein-button main" type="submit">Open GraphiQL</button>
</div>
</form>
<div id="root" hidden></div>
<script id="skein-options" type="application/json">${inScript({ endpoint, tabs: GRAPHIQL_EXAMPLES })}</script>
${scripts.map((text) => `<script>${text}</script>`).join('\n')}
</body>
</html>
`);
  const hashes = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ');
  return { html, gzipped: await promisify(gzip)(html), headers: (host) => headersFor(host, hashes) };
}

function headersFor(host: string, scriptHashes: string): Record<string, string> {
  const policy = [
    `default-src 'none'`,
    `script-src ${scriptHashes}`,
    `worker-src blob:`,
    // The editor writes its colours and places into style elements and attributes as it goes.
    `style-src 'unsafe-inline'`,
    `font-src data:`,
    `img-src data:`,
    // Not every browser takes 'self' to mean the same host's sockets.
    `connect-src 'self' ws://${host} wss://${host}`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    vary: 'accept, accept-encoding',
  };
}

/** JSON that may stand within a script element. */
const inScript = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c');
