import { randomBytes } from 'node:crypto';
import type { Queryable } from './db.ts';

/** A secret that is made by whichever process asks first, and the same for all of them from then on. */
export async function sharedSecret(q: Queryable, name: string): Promise<Buffer> {
  await q.query({
    name: 'shared-secret-make',
    text: 'insert into server_secret (name, value, created_at) values ($1, $2, now()) on conflict (name) do nothing',
    values: [name, randomBytes(32).toString('base64url')],
  });
  const [row] = await q.query<{ value: string }>({
    name: 'shared-secret',
    text: 'select value from server_secret where name = $1',
    values: [name],
  });
  return Buffer.from(row!.value, 'base64url');
}
