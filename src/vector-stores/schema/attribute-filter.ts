import { z } from 'zod';
import { builder } from '../../graphql/builder.ts';
import { text } from '../../graphql/validation.ts';
import type { AttributeFilter } from '../attribute-filter.ts';
import type { AttributeValue, Attributes } from '../vector-store.ts';

/** Filters within filters, comparisons of all of them, and values of one list. */
const MOST_LEVELS = 8;
const MOST_COMPARISONS = 100;
const MOST_VALUES = 100;

const PAIR_DESCRIPTION = 'A key of the attributes and what its value is compared with.';

const AttributeComparisonInput = builder.inputType('AttributeComparisonInput', {
  description: PAIR_DESCRIPTION,
  fields: (t) => ({
    key: t.string({ required: true, description: 'Name of the attribute, 1 to 64 characters.' }),
    value: t.field({
      type: 'JSON',
      required: true,
      description:
        'A text of up to 512 characters, a number or a boolean. Values of different types are never equal, and neither is greater.',
    }),
  }),
});

const AttributeListInput = builder.inputType('AttributeListInput', {
  description: 'A key of the attributes and the values that its own is looked for among.',
  fields: (t) => ({
    key: t.string({ required: true, description: 'Name of the attribute, 1 to 64 characters.' }),
    values: t.field({
      type: ['JSON'],
      required: true,
      description: `Up to ${MOST_VALUES} texts, numbers or booleans.`,
    }),
  }),
});

const COMPARISONS = {
  eq: 'The value is this one.',
  ne: 'The value is not this one, or there is none.',
  gt: 'The value is greater: of two numbers, or of two texts by their characters.',
  gte: 'The value is greater, or this one.',
  lt: 'The value is less.',
  lte: 'The value is less, or this one.',
} as const;

/** The type refers to itself, which Pothos wants written out. */
interface FilterShape {
  [name: string]: unknown;
}

export const AttributeFilterInput = builder.inputRef<FilterShape>('AttributeFilterInput').implement({
  description:
    `What the attributes of files must be like; exactly one of the fields. Up to ${MOST_LEVELS} levels and ` +
    `${MOST_COMPARISONS} comparisons in all.`,
  isOneOf: true,
  fields: (t) => ({
    ...(Object.fromEntries(
      Object.entries(COMPARISONS).map(([name, description]) => [
        name,
        t.field({ type: AttributeComparisonInput, description }),
      ]),
    ) as Record<string, never>),
    in: t.field({ type: AttributeListInput, description: 'The value is one of these.' }),
    nin: t.field({ type: AttributeListInput, description: 'The value is none of these, or there is none.' }),
    and: t.field({ type: [AttributeFilterInput], description: 'All of these fit.' }),
    or: t.field({ type: [AttributeFilterInput], description: 'At least one of these fits.' }),
  }),
});

const key = text('attribute key', 64, 1);
const value = z.unknown().transform((given, context): AttributeValue => {
  if (typeof given === 'boolean' || (typeof given === 'number' && Number.isFinite(given))) return given;
  const checked = text('attribute value', 512).safeParse(given);
  if (checked.success) return checked.data;
  context.addIssue(
    typeof given === 'string' ? checked.error.issues[0]!.message : 'An attribute is a text, a number or a boolean.',
  );
  return z.NEVER;
});

/** Reference §11.2: up to 16 pairs. */
const AttributesChecked = z.unknown().transform((given, context): Attributes => {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    context.addIssue('Attributes are an object of texts, numbers and booleans.');
    return z.NEVER;
  }
  const pairs = Object.entries(given);
  if (pairs.length > 16) context.addIssue(`There are ${pairs.length} attributes; at most 16 are allowed.`);
  for (const [name, item] of pairs) {
    for (const result of [key.safeParse(name), value.safeParse(item)]) {
      for (const { message } of result.error?.issues ?? [])
        context.addIssue(`${message} (attribute '${name.slice(0, 64).toWellFormed().replaceAll('\0', '')}')`);
    }
  }
  return Object.fromEntries(pairs) as Attributes;
});

/** Absent or null = none. */
export const attributesChecked = AttributesChecked.nullish().transform((attributes): Attributes => attributes ?? {});

/** The filter as the room takes it; checked by hand, because it holds itself. */
export const filterChecked = z.unknown().transform((given, context): AttributeFilter => {
  let comparisons = 0;
  const fail = (message: string): never => {
    context.addIssue(message);
    return z.NEVER;
  };
  const checked = <Schema extends z.ZodType>(schema: Schema, item: unknown): z.output<Schema> => {
    const result = schema.safeParse(item);
    return result.success ? result.data : fail(result.error.issues[0]!.message);
  };
  const read = (filter: Record<string, unknown>, level: number): AttributeFilter => {
    if (level > MOST_LEVELS) return fail(`The filter has more than ${MOST_LEVELS} levels.`);
    const [op, inner] = Object.entries(filter).find(([, item]) => item != null) ?? ['', null];
    if (op === 'and' || op === 'or') {
      const filters = inner as Record<string, unknown>[];
      if (filters.length > MOST_COMPARISONS) return fail(`The filter has more than ${MOST_COMPARISONS} comparisons.`);
      return { op, filters: filters.map((each) => read(each, level + 1)) };
    }
    comparisons += 1;
    if (comparisons > MOST_COMPARISONS) return fail(`The filter has more than ${MOST_COMPARISONS} comparisons.`);
    const pair = inner as { key: unknown; value?: unknown; values?: unknown[] };
    if (op === 'in' || op === 'nin') {
      const values = pair.values ?? [];
      if (values.length > MOST_VALUES) return fail(`A list of values has ${values.length}; at most ${MOST_VALUES} are allowed.`);
      return { op, key: checked(key, pair.key), values: values.map((each) => checked(value, each)) };
    }
    const compared = checked(value, pair.value);
    if (typeof compared === 'boolean' && op !== 'eq' && op !== 'ne')
      return fail('Of booleans none is greater: compare them with eq and ne.');
    return { op: op as keyof typeof COMPARISONS, key: checked(key, pair.key), value: compared };
  };
  return read(given as Record<string, unknown>, 1);
});
