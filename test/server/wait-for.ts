import { setTimeout } from 'node:timers/promises';
import { PATIENCE_MS } from '../patience.ts';

/** Waits until `look` answers with something, and returns it. */
export async function waitFor<Value>(
  what: string,
  look: () => Value | Promise<Value>,
  ms = PATIENCE_MS,
): Promise<NonNullable<Value>> {
  const end = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen as NonNullable<Value>;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await setTimeout(20);
  }
}
