interface Timed {
  readonly createdAt: string;
  readonly completedAt?: string | null;
  readonly failedAt?: string | null;
  readonly cancelledAt?: string | null;
  readonly expiredAt?: string | null;
}

/** From when to when, in milliseconds; what goes on has come as far as now. */
export function spanOf(item: Timed, now: number): { start: number; end: number } {
  const start = Date.parse(item.createdAt);
  const over = item.completedAt ?? item.failedAt ?? item.cancelledAt ?? item.expiredAt;
  return { start, end: Math.max(start, over ? Date.parse(over) : now) };
}

export function durationOf(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
