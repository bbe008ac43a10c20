export type PairKind = 'text' | 'number' | 'boolean';

/** A name and a value as they are being written. */
export interface Pair {
  readonly key: number;
  readonly name: string;
  readonly value: string;
  readonly kind: PairKind;
}

/** The pairs of a JSON object. Whatever is no plain value is shown as the text that it is. */
export function pairsOf(json: unknown): Pair[] {
  if (typeof json !== 'object' || json === null) return [];
  return Object.entries(json).map(([name, value]: [string, unknown], key) => {
    const kind = typeof value === 'number' || typeof value === 'boolean' ? (typeof value as PairKind) : 'text';
    return { key, name, value: typeof value === 'string' ? value : JSON.stringify(value), kind };
  });
}

export const jsonOf = (pairs: readonly Pair[]): Record<string, string | number | boolean> =>
  Object.fromEntries(pairs.map(({ name, value, kind }) => [name.trim(), valueOf(value, kind)]));

function valueOf(value: string, kind: PairKind): string | number | boolean {
  if (kind === 'number') return Number(value);
  return kind === 'boolean' ? value === 'true' : value;
}

/** Why these pairs cannot be stored, as far as that can be seen here. */
export function pairsProblem(pairs: readonly Pair[]): string | null {
  const names = pairs.map(({ name }) => name.trim());
  if (names.includes('')) return 'Each pair needs a name; take out those that are not wanted.';
  const twice = names.find((name, at) => names.indexOf(name) < at);
  if (twice !== undefined) return `The name ‘${twice}’ is there twice.`;
  const odd = pairs.find(({ value, kind }) => kind === 'number' && (value.trim() === '' || !Number.isFinite(Number(value))));
  return odd ? `The value of ‘${odd.name}’ is no number.` : null;
}
