import type { RawAnswer } from '../skein.ts';

interface Payload {
  [field: string]: unknown;
}

/** The code of a refusal, if it is one, and what was made or changed. */
export function outcomeOf(mutation: string, { data, errors }: RawAnswer): [code: string | undefined, ...objects: unknown[]] {
  const payload = data?.[mutation] as Payload | undefined;
  const refusals = Object.entries(payload ?? {}).find(([field]) => field.endsWith('_userErrors'))?.[1] as
    Payload[] | undefined;
  const refusal = Object.entries(refusals?.[0] ?? {}).find(([field]) => field.endsWith('_code'))?.[1] as
    string | undefined;
  const objects = Object.entries(payload ?? {}).filter(
    ([field, value]) => value !== null && /_/.test(field) && !/^__|_userErrors$/.test(field),
  );
  return [errors?.[0]?.extensions?.code ?? refusal, ...objects];
}

/** null, a page without an object, or a list of nulls; a list in which one id was swapped need have but one. */
export function isNothing(value: unknown, oneNull = false): boolean {
  if (value == null) return true;
  if (Array.isArray(value)) return oneNull ? value.some((item) => item === null) : value.every((item) => item === null);
  const nodes = Object.entries(value).find(([field]) => field.endsWith('Connection_nodes'))?.[1] as
    unknown[] | undefined;
  return nodes?.length === 0;
}
