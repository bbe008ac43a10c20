import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, fetchExchange } from '@urql/core';
import {
  buildSchema,
  type DocumentNode,
  type FragmentDefinitionNode,
  getNamedType,
  type GraphQLObjectType,
  isAbstractType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  TypeInfo,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import { expect, onTestFinished, test, vi } from 'vitest';
import { POSSIBLE_TYPES } from '../../src/client/possible-types.ts';
import { skeinCache } from '../../src/client/react/cache.ts';
import * as documents from '../../src/generated/graphql/graphql.ts';

const schema = buildSchema(readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8'));

/** What is read of an object of this type, by the names of the answer. */
function namesOf(type: GraphQLObjectType, { selections }: SelectionSetNode, fragments: Map<string, FragmentDefinitionNode>): string[] {
  return selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [(selection.alias ?? selection.name).value];
    const { typeCondition, selectionSet } = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value)! : selection;
    const on = schema.getType(typeCondition?.name.value ?? type.name)!;
    const applies = on === type || (isAbstractType(on) && schema.isSubType(on, type));
    return applies ? namesOf(type, selectionSet, fragments) : [];
  });
}

/** Where a document reads something of a node, and not its id. */
function withoutId(document: DocumentNode): string[] {
  const fragments = new Map(document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  const found: string[] = [];
  const info = new TypeInfo(schema);
  visit(
    document,
    visitWithTypeInfo(info, {
      Field({ name, selectionSet }) {
        const type = getNamedType(info.getType());
        if (!type || !selectionSet) return;
        for (const one of isAbstractType(type) ? schema.getPossibleTypes(type) : [type]) {
          if (!isObjectType(one) || !POSSIBLE_TYPES.Node!.includes(one.name)) continue;
          const names = namesOf(one, selectionSet, fragments).filter((read) => read !== '__typename');
          if (names.length > 0 && !names.includes('id')) found.push(`${name.value}: ${one.name}`);
        }
      },
    }),
  );
  return found;
}

// A normalised cache takes what has no id for a part of what it was read with, and loses one of two such answers.
test('every document of the client reads the id of every node', () => {
  const all = Object.entries(documents).filter(([name]) => name.endsWith('Document'));
  expect(all.length).toBeGreaterThan(30);
  expect(all.flatMap(([name, document]) => withoutId(document as DocumentNode).map((where) => `${name}, ${where}`))).toEqual([]);
});

test('a document of somebody else that does not is complained of while it is developed', async () => {
  const warned = vi.spyOn(console, 'warn').mockReturnValue();
  onTestFinished(() => warned.mockRestore());
  const answer = (fields: object) => async () =>
    new Response(JSON.stringify({ data: { vectorStore: { __typename: 'VectorStore', ...fields } } }), {
      headers: { 'content-type': 'application/json' },
    });
  const ask = (query: string, fields: object) =>
    new Client({ url: 'http://127.0.0.1/graphql', exchanges: [skeinCache(), fetchExchange], fetch: answer(fields) })
      .query(query, {})
      .toPromise();
  const { data } = await ask('{ vectorStore(id: "vs_1") { id name } }', { id: 'vs_1', name: 'Handbook' });
  expect([data, warned.mock.calls]).toEqual([{ vectorStore: { id: 'vs_1', name: 'Handbook' } }, []]);
  await ask('{ vectorStore(id: "vs_1") { name } }', { name: 'Handbook' });
  expect(warned.mock.calls.flat().join()).toMatch(/Invalid key: .*`Query\.vectorStore\({"id":"vs_1"}\)`/);
});
