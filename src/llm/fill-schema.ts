/**
 * Fills JSON schemas from a sentence, for the built-in model: what the sentence names or plainly shows is taken, the
 * rest is the smallest value that fits. Deterministic, and no more of JSON Schema than function parameters use.
 */
interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  $ref?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
}

const DEPTH = 12;
const FORMATS: Record<string, string> = {
  date: '1970-01-01',
  time: '00:00:00Z',
  'date-time': '1970-01-01T00:00:00Z',
  email: 'nobody@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
};
/** A string by one of these names wants the request itself. */
const ASKS_FOR_TEXT = /^(query|queries|question|q|text|prompt|message|input|content|search)$/i;
const ASKS_FOR_CODE = /^(code|source|script|program)$/i;

/** Capitalised words; what follows is no longer part of them. */
const PHRASE = "\\p{Lu}[\\p{L}\\p{N}'-]*(?: +\\p{Lu}[\\p{L}\\p{N}'-]*)*";
const PLACE = new RegExp(`\\b(?i:in|for|at|of|to|from|about)\\s+(${PHRASE})`, 'gu');
const DELIMITED = `"[^"]*"|'[^']*'|\\[[^\\]]*\\]|\\{[^}]*\\}`;
const QUOTED = /```(?:\w*\n)?([\s\S]*?)```|`([^`]+)`|"([^"]*)"|“([^”]*)”|(?<!\w)'([^']*)'(?!\w)/g;

/** What the sentence offers, used up in order. */
interface Offer {
  text: string;
  whole: string;
  quoted: string[];
  numbers: number[];
  places: string[];
}

/** An object for `schema` from `text`, the part of the request that concerns it, and `whole`, all of it. */
export function fillSchema(schema: unknown, text: string, whole: string): unknown {
  const root = (typeof schema === 'object' && schema !== null ? schema : {}) as Schema;
  const offer = offerOf(text, whole);
  const top = resolve(root, root);
  return typeOf(top) === 'object' ? fillObject(top, root, offer, 0) : smallest(top, root, 0);
}

function offerOf(text: string, whole: string): Offer {
  const quoted = [...text.matchAll(QUOTED)];
  const bare = quoted.reduce((rest, [match]) => rest.replace(match, ' '), text);
  const numbers = [...bare.matchAll(/(?<![\w.])-?\d+(?:\.\d+)?(?!\w)/g)].map(([match]) => Number(match));
  const contents = quoted.map((match) => match.slice(1).find((part) => part !== undefined) ?? '');
  return { text, whole, quoted: contents, numbers, places: places(text, whole) };
}

/** Capitalised phrases after a preposition: "in New York" → New York. */
function places(text: string, whole: string): string[] {
  const found = [...text.matchAll(PLACE)].map((match) => match[1] ?? '');
  return found.length > 0 || text === whole ? found : places(whole, whole);
}

function fillObject(schema: Schema, root: Schema, offer: Offer, depth: number): Record<string, unknown> {
  const required = new Set(schema.required ?? []);
  const all = Object.entries(schema.properties ?? {});
  const properties = all.map(([name, raw]) => ({ name, property: resolve(raw, root) }));
  // What is said by name goes first, so that nothing is guessed from the words of another property.
  const said = properties.map(({ name, property }) => explicit(name, property, offer) ?? mentioned(property, offer));
  const filled: Record<string, unknown> = {};
  for (const [at, { name, property }] of properties.entries()) {
    // Schemas without a list of required properties still mean some of them: those that the sentence has values for.
    const wanted = required.has(name) || schema.required === undefined;
    const value = said[at] ?? (wanted ? guess(name, property, root, offer, depth) : undefined);
    if (value !== undefined) filled[name] = value;
    else if (required.has(name)) filled[name] = smallest(property, root, depth);
  }
  return filled;
}

/** `name=value` and `name: value`: a quoted string, JSON, a capitalised phrase, or one word. */
function explicit(name: string, property: Schema, offer: Offer): unknown {
  const bare = ASKS_FOR_TEXT.test(name) ? '[^\\n;]+' : `${PHRASE}|[^\\s,;]+`;
  const spelled = wordsOf(name).join('[\\s_-]*');
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?i:${spelled})\\s*[=:]\\s*(${DELIMITED}|${bare})`, 'u');
  const said = (pattern.exec(offer.text) ?? pattern.exec(offer.whole))?.[1];
  if (said === undefined || spelled === '') return undefined;
  const text = /^(["']).*\1$/s.test(said) ? said.slice(1, -1) : said.trim().replace(/[.!?)]+$/, '');
  const value = typeOf(property) === 'string' ? text : parse(text);
  if (!fits(value, property)) return undefined;
  offer.quoted = offer.quoted.filter((quoted) => !said.includes(quoted));
  offer.numbers = offer.numbers.filter((number) => !said.includes(String(number)));
  return value;
}

function mentioned(property: Schema, offer: Offer): unknown {
  const spaced = (text: string): string => ` ${wordsOf(text).join(' ')} `;
  const of = (text: string): unknown =>
    property.enum?.find((value) => typeof value === 'string' && value !== '' && spaced(text).includes(spaced(value)));
  return of(offer.text) ?? of(offer.whole);
}

/** The next thing in the sentence that this property could have meant; undefined = none. */
function guess(name: string, property: Schema, root: Schema, offer: Offer, depth: number): unknown {
  if (property.const !== undefined || property.enum !== undefined) return undefined;
  const type = typeOf(property);
  if (type === 'number' || type === 'integer') {
    const at = offer.numbers.findIndex((number) => fits(number, property));
    return at < 0 ? undefined : offer.numbers.splice(at, 1)[0];
  }
  if (type === 'object') {
    return property.properties && depth < DEPTH ? fillObject(property, root, offer, depth + 1) : undefined;
  }
  if (type !== 'string' || property.format !== undefined) return undefined;
  const candidates = [offer.quoted[0], ASKS_FOR_CODE.test(name) ? sum(offer.whole) : undefined];
  if (ASKS_FOR_TEXT.test(name)) candidates.push(offer.whole);
  candidates.push(offer.places[0]);
  const value = candidates.find((candidate) => candidate && fits(candidate, property));
  if (value === undefined) return undefined;
  if (value === offer.quoted[0]) offer.quoted.shift();
  else if (value === offer.places[0]) offer.places.shift();
  return value;
}

/** Code for the sum that the sentence holds. */
function sum(text: string): string {
  const found = /\d[\d.]*(?:\s*(?:\*\*|[-+*/%])\s*\d[\d.]*)+/.exec(text)?.[0];
  return `print(${found ?? '"hello"'})`;
}

function smallest(raw: Schema, root: Schema, depth: number): unknown {
  const schema = resolve(raw, root);
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum !== undefined) return schema.enum[0] ?? null;
  if (depth > DEPTH) return null;
  switch (typeOf(schema)) {
    case 'object': {
      const of = (name: string): unknown => smallest(schema.properties?.[name] ?? {}, root, depth + 1);
      return Object.fromEntries((schema.required ?? []).map((name) => [name, of(name)]));
    }
    case 'array': {
      const first = schema.prefixItems ?? [];
      const length = Math.max(schema.minItems ?? 0, first.length);
      return Array.from({ length }, (_, at) => smallest(first[at] ?? schema.items ?? {}, root, depth + 1));
    }
    case 'string':
      return (FORMATS[schema.format ?? ''] ?? '').padEnd(schema.minLength ?? 0, '-');
    case 'number':
    case 'integer':
      return smallestNumber(schema);
    case 'boolean':
      return false;
    default:
      return null;
  }
}

function smallestNumber(schema: Schema): number {
  const step = schema.multipleOf ?? 1;
  const above = (schema.exclusiveMinimum ?? 0) + step;
  const below = (schema.exclusiveMaximum ?? 0) - step;
  const limits = [0, schema.minimum, schema.maximum, above, below].filter((value) => value !== undefined);
  const candidates = limits.flatMap((value) => [value, Math.ceil(value / step) * step]);
  return candidates.find((value) => fits(value, schema)) ?? schema.minimum ?? 0;
}

function fits(value: unknown, schema: Schema): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value);
  switch (typeOf(schema)) {
    case 'string':
      return (
        typeof value === 'string' &&
        value.length >= (schema.minLength ?? 0) &&
        value.length <= (schema.maxLength ?? Infinity)
      );
    case 'number':
    case 'integer':
      return (
        typeof value === 'number' &&
        (typeOf(schema) === 'number' || Number.isInteger(value)) &&
        value >= (schema.minimum ?? -Infinity) &&
        value <= (schema.maximum ?? Infinity) &&
        value > (schema.exclusiveMinimum ?? -Infinity) &&
        value < (schema.exclusiveMaximum ?? Infinity) &&
        (schema.multipleOf === undefined || value % schema.multipleOf === 0)
      );
    case 'boolean':
      return typeof value === 'boolean';
    case 'array':
      return (
        Array.isArray(value) &&
        value.length >= (schema.minItems ?? 0) &&
        value.every((item) => fits(item, schema.items ?? {}))
      );
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return true;
  }
}

/** Follows references into the root and takes the first of alternatives; an endless chain ends as "anything". */
function resolve(schema: Schema, root: Schema, depth = 0): Schema {
  if (depth > DEPTH) return {};
  if (schema.$ref !== undefined) {
    const path = schema.$ref
      .replace(/^#\/?/, '')
      .split('/')
      .filter((step) => step !== '');
    const target = path.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], root);
    return typeof target === 'object' && target !== null ? resolve(target as Schema, root, depth + 1) : {};
  }
  const { allOf, anyOf, oneOf, ...own } = schema;
  const chosen = (anyOf ?? oneOf)?.[0];
  const parts = [...(allOf ?? []), ...(chosen ? [chosen] : [])].map((part) => resolve(part, root, depth + 1));
  if (parts.length === 0) return schema;
  return [...parts, own].reduce((merged, part) => ({
    ...merged,
    ...part,
    ...((merged.properties ?? part.properties) && { properties: { ...merged.properties, ...part.properties } }),
    ...((merged.required ?? part.required) && { required: [...(merged.required ?? []), ...(part.required ?? [])] }),
  }));
}

function typeOf(schema: Schema): string | undefined {
  const type = Array.isArray(schema.type) ? schema.type.find((name) => name !== 'null') : schema.type;
  return type ?? (schema.properties ? 'object' : schema.items || schema.prefixItems ? 'array' : undefined);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The words of a name or a text in lower case: `getWeather`, `get-weather` and `get weather` are the same two. */
export function wordsOf(text: string): string[] {
  return text
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}
