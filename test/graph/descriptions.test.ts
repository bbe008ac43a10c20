import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
} from 'graphql';
import { expect, test } from 'vitest';
import { createSchema } from '../../src/schema.ts';

const schema = createSchema();
const types = Object.values(schema.getTypeMap()).filter(
  (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
);

/** Everything of the graph that a stranger reads a description of, by its place. */
function* described(): Generator<[place: string, description: string | null | undefined]> {
  for (const type of types) {
    yield [type.name, type.description];
    if (isEnumType(type)) for (const value of type.getValues()) yield [`${type.name}.${value.name}`, value.description];
    if (isInputObjectType(type))
      for (const field of Object.values(type.getFields())) yield [`${type.name}.${field.name}`, field.description];
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      yield [`${type.name}.${field.name}`, field.description];
      for (const arg of field.args) yield [`${type.name}.${field.name}(${arg.name}:)`, arg.description];
    }
  }
}

test('every type, field, argument and enum value is described', () => {
  const places = [...described()];
  expect(places.length).toBeGreaterThan(500);
  expect(places.filter(([, description]) => !description?.trim()).map(([place]) => place)).toEqual([]);
});

test('every description is a sentence: a capital or a code word first, a full stop last', () => {
  const odd = [...described()].filter(([, description]) => !/^[`A-Z0-9][\s\S]*[.!?]$/.test(description?.trim() ?? ''));
  expect(odd).toEqual([]);
});

test('every type of the graph can be reached from a root', () => {
  const reached = new Set<string>();
  const visit = (name: string): void => {
    if (reached.has(name)) return;
    reached.add(name);
    const type = schema.getType(name)!;
    if (isInputObjectType(type))
      for (const field of Object.values(type.getFields())) visit(getNamedType(field.type).name);
    if (!isObjectType(type) && !isInterfaceType(type)) {
      if ('getTypes' in type) for (const { name: member } of type.getTypes()) visit(member);
      return;
    }
    if (isInterfaceType(type)) for (const { name: member } of schema.getPossibleTypes(type)) visit(member);
    for (const { name: parent } of type.getInterfaces()) visit(parent);
    for (const field of Object.values(type.getFields())) {
      visit(getNamedType(field.type).name);
      for (const arg of field.args) visit(getNamedType(arg.type).name);
    }
  };
  for (const root of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) visit(root!.name);
  expect(types.map(({ name }) => name).filter((name) => !reached.has(name))).toEqual([]);
});
