/** Milliseconds that a machine which has more to do than it can may take for what is a matter of milliseconds. */
export const PATIENCE_MS = 45_000;
