import {
  getNamedType,
  getNullableType,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  GraphQLID,
  type GraphQLSchema,
  isAbstractType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isLeafType,
  isListType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';

/** Every place of the graph that takes an id: `Type.field(argument:)` and `Input.field`. */
export function idPlaces(schema: GraphQLSchema): string[] {
  const places: string[] = [];
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type)) continue;
    if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields()))
        if (getNamedType(field.type) === GraphQLID) places.push(`${type.name}.${field.name}`);
    } else if (isObjectType(type)) {
      for (const field of Object.values(type.getFields())) {
        for (const arg of field.args)
          if (getNamedType(arg.type) === GraphQLID) places.push(`${type.name}.${field.name}(${arg.name}:)`);
      }
    }
  }
  return places.sort();
}

/** A place in a value of an input type at which an id stands. */
export interface IdAt {
  place: string;
  id: string;
  /** The value with another id at this place. */
  put(id: string): unknown;
}

/** The ids in a value of an input type. `place` names the argument that the value is given to. */
export function* idsIn(type: GraphQLInputType, value: unknown, place: string): Generator<IdAt> {
  const inner = getNullableType(type);
  if (value == null) return;
  if (isListType(inner)) {
    for (const [i, item] of (value as unknown[]).entries()) {
      for (const at of idsIn(inner.ofType, item, place))
        yield { ...at, put: (id) => (value as unknown[]).with(i, at.put(id)) };
    }
  } else if (isInputObjectType(inner)) {
    const fields = inner.getFields();
    for (const [name, item] of Object.entries(value)) {
      const field = fields[name];
      if (!field) throw new Error(`${inner.name} has no field ${name}`);
      for (const at of idsIn(field.type, item, `${inner.name}.${name}`))
        yield { ...at, put: (id) => ({ ...value, [name]: at.put(id) }) };
    }
  } else if (inner === GraphQLID) {
    yield { place, id: value as string, put: (id) => id };
  }
}

/** Fields of all object types that can be reached from some of them, as `Type.field`. */
export function fieldsFrom(schema: GraphQLSchema, roots: readonly GraphQLObjectType[]): string[] {
  const seen = new Set<string>();
  const fields: string[] = [];
  const visit = (type: GraphQLNamedType): void => {
    if (isLeafType(type) || seen.has(type.name)) return;
    seen.add(type.name);
    if (isAbstractType(type)) for (const member of schema.getPossibleTypes(type)) visit(member);
    if (!isObjectType(type)) return;
    for (const field of Object.values(type.getFields())) {
      fields.push(`${type.name}.${field.name}`);
      visit(getNamedType(field.type));
    }
  };
  for (const root of roots) visit(root);
  return fields.sort();
}

/** Fields that cost so much that many of them are over the limit. */
const COSTLY = new Set(['VectorStore.search', 'VectorStoreFile.extractedText']);

/** Arguments of fields that cannot be asked for without. */
const NEEDED: Record<string, string> = { 'VectorStore.search': '(query: "CANARY", first: 5)' };

export interface Walk {
  /** What has been selected, as `Type.field`. */
  asked: Set<string>;
  /** Which fields may be. */
  asks?: ((place: string) => boolean) | undefined;
}

/**
 * A selection of everything below a type, `depth` objects deep, with aliases that never collide. A type is not entered
 * again within itself. What is selected is noted in `walk.asked`.
 */
export function everything(
  schema: GraphQLSchema,
  type: GraphQLNamedType,
  depth: number,
  walk: Walk,
  within: string[] = [],
): string {
  if (isAbstractType(type)) {
    const members = schema
      .getPossibleTypes(type)
      .map((member) => `... on ${member.name} ${everything(schema, member, depth, walk, within)}`);
    return `{ __typename ${members.join(' ')} }`;
  }
  if (!isObjectType(type)) return '';
  const parts = ['__typename'];
  for (const field of Object.values(type.getFields())) {
    if (walk.asks?.(`${type.name}.${field.name}`) === false) continue;
    // Dear ones are asked of the object that the walk begins with.
    if (COSTLY.has(`${type.name}.${field.name}`) && within.length > 0) continue;
    const needed = NEEDED[`${type.name}.${field.name}`];
    if (!needed && field.args.some(isRequiredArgument))
      throw new Error(`${type.name}.${field.name} needs an argument: say which in test/graph`);
    const of = getNamedType(field.type);
    const leaf = isLeafType(of);
    if (!leaf && (depth === 0 || within.includes(of.name))) continue;
    walk.asked.add(`${type.name}.${field.name}`);
    const args = needed ?? (field.args.some(({ name }) => name === 'first') ? '(first: 5)' : '');
    // Edges, pages and interfaces lead to objects and are not counted as such.
    const counts = !/(Edge|Connection|PageInfo)$/.test(of.name) && !isInterfaceType(of);
    const below = leaf ? '' : ` ${everything(schema, of, counts ? depth - 1 : depth, walk, [...within, type.name])}`;
    parts.push(`${type.name}_${field.name}: ${field.name}${args}${below}`);
  }
  return `{ ${parts.join(' ')} }`;
}
