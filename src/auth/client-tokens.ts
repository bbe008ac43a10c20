import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { sharedSecret } from '../db/shared-secret.ts';
import type { Queryable } from '../db/db.ts';

export const TOKEN_SCOPES = ['READ', 'RUN'] as const;
/** READ: its threads, what hangs on them, and their events. RUN: that, and to start, cancel and answer runs in them. */
export type TokenScope = (typeof TOKEN_SCOPES)[number];

/** What a page may do that has a token in the place of a key. */
export interface ClientToken {
  threadIds: readonly string[];
  scopes: readonly TokenScope[];
  /** Who may be asked to answer; null = any assistant of the project. */
  assistantIds: readonly string[] | null;
  expiresAt: Date;
}

/**
 * Tokens that carry what they allow, signed with a secret that all processes on one database share: nothing is stored,
 * and every process takes those of the others. They are good for as long as the key is that made them.
 */
export interface ClientTokens {
  mint(keyId: string, token: ClientToken): string;
  /** null for what is no token of this server, or was changed. */
  read(secret: string): { keyId: string; token: ClientToken } | 'expired' | null;
}

const PREFIX = 'ct-skein-';

const Claims = z
  .object({
    key: z.string(),
    threads: z.array(z.string()).readonly(),
    scopes: z.array(z.enum(TOKEN_SCOPES)).readonly(),
    assistants: z.array(z.string()).readonly().nullable(),
    /** Seconds since 1970. */
    expires: z.number(),
  })
  .transform(({ key, threads, scopes, assistants, expires }) => ({
    keyId: key,
    token: { threadIds: threads, scopes, assistantIds: assistants, expiresAt: new Date(expires * 1000) },
  }));

export async function createClientTokens({ db }: { db: Queryable }): Promise<ClientTokens> {
  const secret = await sharedSecret(db, 'client-tokens');
  const sign = (claims: string): Buffer => createHmac('sha256', secret).update(claims).digest();
  return {
    mint(keyId, { threadIds, scopes, assistantIds, expiresAt }) {
      const claims = {
        key: keyId,
        threads: threadIds,
        scopes,
        assistants: assistantIds,
        expires: Math.floor(expiresAt.getTime() / 1000),
      } satisfies z.input<typeof Claims>;
      const written = Buffer.from(JSON.stringify(claims)).toString('base64url');
      return `${PREFIX}${written}.${sign(written).toString('base64url')}`;
    },
    read(text) {
      if (!text.startsWith(PREFIX)) return null;
      const [written = '', signature = '', ...more] = text.slice(PREFIX.length).split('.');
      const given = Buffer.from(signature, 'base64url');
      const expected = sign(written);
      if (more.length > 0 || given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return null;
      const read = Claims.parse(JSON.parse(Buffer.from(written, 'base64url').toString()));
      return read.token.expiresAt.getTime() > Date.now() ? read : 'expired';
    },
  };
}
