import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Db } from '../db/db.ts';
import { sharedSecret } from '../db/shared-secret.ts';

/** A GET link is good for HEAD as well. */
export type LinkMethod = 'GET' | 'PUT';

export interface Link {
  url: string;
  expiresAt: Date;
}

/** Links that carry their own authority: whoever has one may use it until it expires. */
export interface Links {
  /** To get a file's bytes from, until `until` at most. `origin` is where the caller reaches this server. */
  toFile(origin: string, fileId: string, until?: Date): Link;
  /** To put an upload's bytes to. */
  toUpload(origin: string, uploadId: string): Link;
  /** Whether what came back is a link of ours, and still good. */
  check(method: LinkMethod, path: string, query: URLSearchParams): 'good' | 'expired' | 'forged';
}

/** An upload must begin within this time. */
const UPLOAD_SECONDS = 3600;

/** Signed with a secret that all processes on one database share, so that each takes the links of the others. */
export async function createLinks({ db, fileSeconds }: { db: Db; fileSeconds: number }): Promise<Links> {
  const secret = await sharedSecret(db, 'links');
  const signature = (method: LinkMethod, path: string, expires: string) =>
    createHmac('sha256', secret).update(`${method}\n${path}\n${expires}`).digest();
  const sign = (origin: string, method: LinkMethod, path: string, seconds: number, until?: Date): Link => {
    const expires = Math.ceil(Math.min(Date.now() + seconds * 1000, until?.getTime() ?? Infinity) / 1000);
    const signed = signature(method, path, String(expires)).toString('base64url');
    return { url: `${origin}${path}?expires=${expires}&signature=${signed}`, expiresAt: new Date(expires * 1000) };
  };
  return {
    toFile: (origin, fileId, until) => sign(origin, 'GET', `/files/${fileId}`, fileSeconds, until),
    toUpload: (origin, uploadId) => sign(origin, 'PUT', `/uploads/${uploadId}`, UPLOAD_SECONDS),
    check(method, path, query) {
      const expires = query.get('expires') ?? '';
      const given = Buffer.from(query.get('signature') ?? '', 'base64url');
      const expected = signature(method, path, expires);
      if (given.byteLength !== expected.byteLength || !timingSafeEqual(given, expected)) return 'forged';
      return Number(expires) * 1000 > Date.now() ? 'good' : 'expired';
    },
  };
}
