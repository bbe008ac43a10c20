import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** Answers requests for the playground: true when the path is one of its files. */
export type PlaygroundRoutes = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>;

interface Asset {
  body: Buffer;
  gzipped: Buffer;
  type: string;
}

const FOLDER = join(import.meta.dirname, '../../dist/playground');
const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};
const PAGE = '/index.html';

/**
 * The playground as it was built: a page at `/` and what it is made of under `/assets/`, kept in memory from the first
 * request on. `publicUrl`: where files are linked to, when that is not where the page comes from.
 */
export function createPlaygroundRoutes({ publicUrl }: { publicUrl: string | null }): PlaygroundRoutes {
  let assets: Promise<Map<string, Asset>> | null = null;

  return async (request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    const isPage = path === '/';
    if (!isPage && !path.startsWith('/assets/')) return false;
    if (request.method !== 'GET' && request.method !== 'HEAD') return false;
    assets ??= readAssets(FOLDER).catch((error: unknown) => {
      assets = null;
      throw error;
    });
    const asset = (await assets).get(isPage ? PAGE : path);
    if (!asset) return false;
    const zips = /\bgzip\b/.test(String(request.headers['accept-encoding']));
    const body = zips ? asset.gzipped : asset.body;
    response.writeHead(200, {
      ...(isPage ? pageHeaders(request.headers.host!, publicUrl) : { 'cache-control': 'public, max-age=31536000, immutable' }),
      'content-type': asset.type,
      'content-length': body.length,
      'cross-origin-resource-policy': 'same-origin',
      vary: 'accept-encoding',
      ...(zips ? { 'content-encoding': 'gzip' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    return true;
  };
}

/** Only files that are there when it is read are ever sent: a path is looked up, not opened. */
async function readAssets(folder: string): Promise<Map<string, Asset>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const zip = promisify(gzip);
  const read = names
    .filter((entry) => entry.isFile() && extname(entry.name) in TYPES)
    .map(async (entry): Promise<[string, Asset]> => {
      const path = join(entry.parentPath, entry.name);
      const body = await readFile(path);
      const name = path.slice(folder.length).replaceAll('\\', '/');
      return [name, { body, gzipped: await zip(body), type: TYPES[extname(entry.name)]! }];
    });
  return new Map(await Promise.all(read));
}

/** What a model or a user wrote can never run here, nor send anything anywhere: not even a picture is asked of others. */
function pageHeaders(host: string, publicUrl: string | null): Record<string, string> {
  const files = publicUrl ? ` ${new URL(publicUrl).origin}` : '';
  const policy = [
    `default-src 'none'`,
    `script-src 'self'`,
    `style-src 'self'`,
    `font-src 'self'`,
    `img-src 'self' data: blob:${files}`,
    // Not every browser takes 'self' to mean the same host's sockets.
    `connect-src 'self' ws://${host} wss://${host}${files}`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
    `require-trusted-types-for 'script'`,
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-opener-policy': 'same-origin',
  };
}
