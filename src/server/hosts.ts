import type { IncomingMessage } from 'node:http';

/** Names by which this machine reaches itself. */
const LOCAL = new Set(['localhost', '127.0.0.1', '[::1]']);

const hostname = (host: string): string => host.replace(/:\d+$/, '').toLowerCase();

/**
 * Whether a request is meant for this server: a page elsewhere whose name was pointed at this machine (DNS rebinding)
 * sends its own name. `own` are the names that the server is set up with.
 */
export function isKnownHost(host: string | undefined, own: readonly string[]): boolean {
  if (!host) return false;
  const name = hostname(host);
  return (
    LOCAL.has(name) || own.some((known) => known.toLowerCase() === name || known.toLowerCase() === host.toLowerCase())
  );
}

/** Where the caller of a request that is meant for this server reaches it. */
export function originOf({ headers, socket }: IncomingMessage): string {
  return `${'encrypted' in socket ? 'https' : 'http'}://${headers.host}`;
}

/** Whether pages of an origin may use this server; `allowed` null = pages of this machine. */
export function isKnownOrigin(origin: string, allowed: readonly string[] | null): boolean {
  if (allowed) return allowed.includes('*') || allowed.includes(origin);
  try {
    return LOCAL.has(new URL(origin).hostname.toLowerCase());
  } catch {
    return false; // `null` and other texts that are no origin
  }
}
