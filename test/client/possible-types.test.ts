import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, isAbstractType } from 'graphql';
import { expect, test } from 'vitest';
import { POSSIBLE_TYPES } from '../../src/client/possible-types.ts';

test('the cache of the client knows every interface and union of the graph', () => {
  const schema = buildSchema(readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8'));
  const types = Object.values(schema.getTypeMap()).filter((type) => isAbstractType(type));
  const possible = types.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)] as const);
  expect(POSSIBLE_TYPES).toEqual(Object.fromEntries(possible));
});
