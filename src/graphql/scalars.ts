import { builder } from './builder.ts';

builder.scalarType('DateTime', {
  description: 'A moment as ISO 8601 text in UTC with milliseconds, like `2026-11-23T12:00:00.000Z`.',
  serialize: (value) => (typeof value === 'string' ? value : value.toISOString()),
  parseValue: (value) => {
    const date = new Date(String(value));
    if (Number.isNaN(date.getTime())) throw new TypeError('DateTime must be ISO 8601 text.');
    return date;
  },
});

builder.scalarType('JSON', {
  description: "Any JSON value: metadata, JSON Schemas and other people's payloads.",
  serialize: (value) => value,
  parseValue: (value) => value,
});

builder.scalarType('BigInt', {
  description: 'A whole number up to 2^53-1, as a JSON number: sizes in bytes.',
  serialize: (value) => Number(value),
  parseValue: (value) => {
    if (!Number.isSafeInteger(value)) throw new TypeError('BigInt must be a whole number up to 2^53-1.');
    return value as number;
  },
});

builder.scalarType('Upload', {
  description:
    'A file that comes with the request, by the GraphQL multipart request specification: the variable is null in ' +
    '`operations`, and `map` says which part of the form stands for it.',
  serialize: () => {
    throw new TypeError('Upload is for arguments only.');
  },
  parseValue: (value) => {
    if (!isFile(value)) {
      throw new TypeError(
        'Upload must be a file of a multipart request (multipart/form-data with operations and map).',
      );
    }
    return value;
  },
});

/** Not by its class: what a server's parser makes may be a File of its own. */
function isFile(value: unknown): value is File {
  const { name, size, stream } = (value ?? {}) as Record<keyof File, unknown>;
  return typeof name === 'string' && typeof size === 'number' && typeof stream === 'function';
}
