import type { AttributeValue } from './vector-store.ts';

/** What the attributes of a file must be like. A missing key fits `ne` and `nin` alone. */
export type AttributeFilter =
  | { op: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte'; key: string; value: AttributeValue }
  | { op: 'in' | 'nin'; key: string; values: AttributeValue[] }
  | { op: 'and' | 'or'; filters: AttributeFilter[] };

const SIGN = { eq: '==', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/**
 * The filter as a jsonpath predicate for `@@`: so it is a parameter, and the statement stays the same. Every comparison
 * stands in an `exists` of its own: between values of two types it is neither true nor false, and that must not spread.
 */
export function jsonPathOf(filter: AttributeFilter): string {
  switch (filter.op) {
    case 'and':
    case 'or': {
      if (filter.filters.length === 0) return filter.op === 'and' ? '1 == 1' : '1 == 0';
      return filter.filters.map((inner) => `(${jsonPathOf(inner)})`).join(filter.op === 'and' ? ' && ' : ' || ');
    }
    case 'in':
      return isOneOf(filter.key, filter.values);
    case 'nin':
      return `!(${isOneOf(filter.key, filter.values)})`;
    case 'ne':
      return `!(${compare(filter.key, '==', filter.value)})`;
    default:
      return compare(filter.key, SIGN[filter.op], filter.value);
  }
}

const compare = (key: string, sign: string, value: AttributeValue): string =>
  `exists($ ? (@.${literal(key)} ${sign} ${literal(value)}))`;

const isOneOf = (key: string, values: readonly AttributeValue[]): string =>
  values.length === 0 ? '1 == 0' : values.map((value) => compare(key, '==', value)).join(' || ');

/** JSON's literals are jsonpath's, for text without NUL. */
const literal = (value: AttributeValue): string => JSON.stringify(value);
