import { createComplexityRule } from '@pothos/plugin-complexity';
import { formatDocument } from '@urql/core';
import { type DocumentNode, getVariableValues, type OperationDefinitionNode, print, validate } from 'graphql';
import { expect, test } from 'vitest';
import * as documents from '../../src/generated/graphql/graphql.ts';
import { COST_LIMITS } from '../../src/graphql/cost.ts';
import { createSchema } from '../../src/schema.ts';

const schema = createSchema();
const operations = Object.entries(documents).flatMap(([name, value]) => {
  if (!name.endsWith('Document')) return [];
  const [definition] = (value as DocumentNode).definitions as [OperationDefinitionNode];
  return definition.operation === 'mutation' ? [] : [{ name: definition.name!.value, document: value as DocumentNode, definition }];
});

/** With every variable that must be given, and the others as they are when they are not. */
function costOf(document: DocumentNode, { variableDefinitions = [] }: OperationDefinitionNode) {
  const given = variableDefinitions.flatMap(({ variable, type }) => {
    if (type.kind !== 'NonNullType') return [];
    const one = print(type).includes('Int') ? 1 : 'some';
    return [[variable.name.value, type.type.kind === 'ListType' ? [one] : one] as const];
  });
  const { variableValues, errors } = getVariableValues(schema, variableDefinitions, Object.fromEntries(given));
  expect(errors).toBeUndefined();
  const seen: (typeof COST_LIMITS)[] = [];
  const rule = createComplexityRule({
    context: {},
    variableValues: { ...variableValues!.coerced },
    validate: (cost) => void seen.push(cost),
  });
  expect(validate(schema, document, [rule])).toEqual([]);
  return seen[0]!;
}

test.for(operations)('$name may be asked as it is, also by caches that add __typename to all', ({ document, definition }) => {
  const plain = costOf(document, definition);
  const more = costOf(formatDocument(document), definition);
  for (const limit of ['complexity', 'depth', 'breadth'] as const) {
    expect(plain[limit]).toBeGreaterThan(0);
    expect(more[limit], limit).toBeLessThanOrEqual(COST_LIMITS[limit]);
  }
});
