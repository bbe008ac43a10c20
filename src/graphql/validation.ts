import { z } from 'zod';

/**
 * Checks of input values, shared by the doors. GraphQL has checked types and required fields before. An absent value
 * and null mean the same, except in updates, where absent means unchanged.
 */

/** Text that a database can hold: no NUL, no half surrogate pair. Lengths are in UTF-16 units. */
export const text = (what: string, max: number, min = 0) =>
  z
    .string()
    .min(min, min === 1 ? `The ${what} must not be empty.` : `The ${what} must have at least ${min} characters.`)
    .max(max, {
      error: ({ input }) => `The ${what} is too long: ${String(input).length} characters, at most ${max} are allowed.`,
    })
    .refine((value) => !value.includes('\0'), `The ${what} must not hold NUL characters.`)
    .refine((value) => value.isWellFormed(), `The ${what} holds half a surrogate pair.`);

/** Absent or null → null. */
export const optional = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullish().transform((value): z.output<Schema> | null => value ?? null);

/** Reference §1: up to 16 pairs, keys up to 64, values up to 512 characters. */
const Metadata = z.unknown().transform((value, context): Record<string, string> => {
  const fail = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fail('Metadata must be an object of text values.');
  const pairs = Object.entries(value);
  if (pairs.length > 16) {
    return fail(`Metadata has too many properties: ${pairs.length}, at most 16 are allowed.`);
  }
  for (const [key, item] of pairs) {
    if (key.length < 1 || key.length > 64)
      return fail(`Metadata keys are 1 to 64 characters; '${key.slice(0, 80)}' is not.`);
    if (typeof item !== 'string') return fail(`Metadata values are text; the value of '${key}' is not.`);
    if (item.length > 512)
      return fail(`Metadata values are at most 512 characters; the value of '${key}' has ${item.length}.`);
    if ([key, item].some((part) => part.includes('\0') || !part.isWellFormed())) {
      return fail(`Metadata must not hold NUL characters or half surrogate pairs ('${key.slice(0, 64)}').`);
    }
  }
  return Object.fromEntries(pairs) as Record<string, string>;
});

export const metadata = Metadata.nullish().transform((value) => value ?? {});
/** For updates: absent = unchanged. What is there is checked as by `schema`, in its words. */
export const unchanged = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .unknown()
    .transform((value, context): z.output<Schema> | undefined => {
      if (value === undefined) return undefined;
      const result = schema.safeParse(value);
      if (result.success) return result.data;
      for (const { path, message } of result.error.issues) context.addIssue({ code: 'custom', path, message });
      return z.NEVER;
    })
    .optional();

/** Replaces the whole map; null empties it. */
export const metadataChange = unchanged(metadata);

/** JSON of any shape, up to `max` characters of text. */
export const json = (what: string, max: number) =>
  z.unknown().superRefine((value, context) => {
    const written = JSON.stringify(value) ?? '';
    if (written.length > max)
      context.addIssue(`The ${what} is too large: ${written.length} characters of JSON, at most ${max}.`);
    else if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(written))
      context.addIssue(`The ${what} must not hold NUL characters or half surrogate pairs.`);
  });

/** A JSON Schema as an object. */
export const jsonSchema = (what: string) =>
  json(what, 256_000).refine(
    (value) => value == null || (typeof value === 'object' && !Array.isArray(value)),
    `The ${what} must be a JSON Schema object.`,
  );

export const number = (what: string, min: number, max: number) =>
  z.number().min(min, `The ${what} must be ${min} to ${max}.`).max(max, `The ${what} must be ${min} to ${max}.`);
