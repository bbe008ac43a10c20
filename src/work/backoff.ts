/** Milliseconds to wait before the attempt after `failures` of them; spread, so that many processes do not come at once. */
export const backoffMs = (failures: number): number =>
  Math.min(5000, 50 * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
