/** One parameter of a call: what its schema says of it, and what the model has put there. */
export interface Parameter {
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  /** As JSON, strings without their quotes; null when it is not given. */
  readonly value: string | null;
  /** What is wrong with it, in a word. */
  readonly problem: string | null;
}

interface ObjectSchema {
  properties?: Record<string, { title?: string; description?: string; type?: string | string[]; enum?: unknown[] }>;
  required?: string[];
}

/** The parameters that a JSON Schema lists, then others that were given; null when the arguments are no JSON object. */
export function parametersOf(schema: unknown, args: string): Parameter[] | null {
  const given = objectOf(args);
  if (!given) return null;
  const { properties = {}, required = [] } = (schema ?? {}) as ObjectSchema;
  const names = new Set([...Object.keys(properties), ...Object.keys(given)]);
  return [...names].map((name) => {
    const known = properties[name];
    const value = given[name];
    const missing = value === undefined && required.includes(name);
    return {
      name,
      title: known?.title ?? null,
      description: known?.description ?? null,
      value: value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value),
      problem: missing ? 'is missing' : known && value !== undefined ? problemOf(known, value) : null,
    };
  });
}

function problemOf({ type, enum: values }: NonNullable<ObjectSchema['properties']>[string], value: unknown): string | null {
  if (values && !values.some((one) => JSON.stringify(one) === JSON.stringify(value))) return 'is none of its values';
  const types = type === undefined ? [] : [type].flat();
  return types.length === 0 || types.some((name) => isOf(name, value)) ? null : `is no ${types.join(' or ')}`;
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value);
    case 'null':
      return value === null;
    case 'integer':
      return Number.isInteger(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

function objectOf(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json === '' ? '{}' : json);
    return isOf('object', value) ? (value as Record<string, unknown>) : null;
  } catch {
    // A model wrote it: what is no JSON is shown as it is.
    return null;
  }
}
