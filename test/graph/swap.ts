import { getNamedType, type GraphQLNamedType, type GraphQLSchema, isInputObjectType } from 'graphql';
import { type IdAt, idPlaces, idsIn } from './schema-walk.ts';
import { fieldOf, type Kind, rootOf } from './stranger.ts';

/** What is tried of a mutation is its one input. */
export const argsOf = (kind: Kind, tried: object): object => (kind === 'mutation' ? { input: tried } : tried);

/** The ids in the arguments of a root field. */
export const idsOf = (schema: GraphQLSchema, kind: Kind, name: string, args: object): IdAt[] =>
  fieldOf(schema, kind, name).args.flatMap((arg) => {
    const place = `${rootOf(schema, kind).name}.${name}(${arg.name}:)`;
    return [...idsIn(arg.type, args[arg.name as keyof object], place)].map((at) => ({
      ...at,
      put: (id: string) => ({ ...args, [arg.name]: at.put(id) }),
    }));
  });

/** Everything that is tried, once with each of the other project's ids in the place of the own one, and once with all. */
export function swap(
  schema: GraphQLSchema,
  kind: Kind,
  name: string,
  mine: object[],
  theirs: object[],
): { args: object; places: string[] }[] {
  return mine.flatMap((tried, i) => {
    const own = idsOf(schema, kind, name, argsOf(kind, tried));
    const all = argsOf(kind, theirs[i]!);
    const foreign = idsOf(schema, kind, name, all);
    const one = own.map(({ place, put }, j) => ({ args: put(foreign[j]!.id) as object, places: [place] }));
    return [...one, ...(own.length > 1 ? [{ args: all, places: own.map(({ place }) => place) }] : [])];
  });
}

/** Every place for an id that the input of a mutation has, however deep. */
export function placesOf(schema: GraphQLSchema, mutation: string): string[] {
  const reached = new Set<string>();
  const visit = (type: GraphQLNamedType): void => {
    if (!isInputObjectType(type) || reached.has(type.name)) return;
    reached.add(type.name);
    for (const field of Object.values(type.getFields())) visit(getNamedType(field.type));
  };
  for (const arg of fieldOf(schema, 'mutation', mutation).args) visit(getNamedType(arg.type));
  return idPlaces(schema).filter((place) => reached.has(place.split('.')[0]!));
}
