import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export const mintRequestId = (): string => `req_${randomBytes(9).toString('base64url')}`;

/** The caller's own id for a request where it gives a decent one, so that both logs tell of the same thing. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : mintRequestId();
}
