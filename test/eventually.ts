import { vi } from 'vitest';

/** Milliseconds that a machine which has more to do than it can may take for what is a matter of milliseconds. */
const PATIENCE_MS = 45_000;

/** Waits until `look` no longer throws, and answers with what it answers. */
export const eventually = <T>(look: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(look, { timeout: PATIENCE_MS, interval: 10 });
