import {
  defaultFieldResolver,
  getNamedType,
  getNullableType,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isIntrospectionType,
  isListType,
  isObjectType,
} from 'graphql';
import type { TokenScope } from '../auth/client-tokens.ts';
import { CLIENT_VIEW } from '../auth/client-view.ts';
import type { Context } from './context.ts';
import { RequestError } from './errors.ts';

const SCOPES: Record<string, TokenScope> = { Query: 'READ', Subscription: 'READ', Mutation: 'RUN' };

const view = new Map(
  Object.entries(CLIENT_VIEW).map(([type, fields]) => [type, new Set(fields.trim().split(/\s+/))]),
);

/** Lets client tokens see their part of the graph and no more: every other field refuses them. */
export function showToClients(schema: GraphQLSchema): GraphQLSchema {
  checkView(schema);
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type)) continue;
    const shown = view.get(type.name);
    const scope = SCOPES[type.name];
    for (const field of Object.values(type.getFields())) {
      const place = `${type.name}.${field.name}`;
      if (!shown?.has(field.name)) guard(field, () => refuse(`${place} is not for client tokens.`, scope !== undefined));
      else if (scope) guard(field, (args, context) => checkRoot(field, place, scope, args, context));
    }
  }
  return schema;
}

type Check = (args: Record<string, unknown>, context: Context) => void;

/** Before anything else of the field, so that nothing of it is said or done. */
function guard(field: GraphQLField<unknown, Context>, check: Check): void {
  const { resolve = defaultFieldResolver, subscribe } = field;
  const guarded =
    (inner: GraphQLFieldResolver<unknown, Context>): GraphQLFieldResolver<unknown, Context> =>
    (parent, args, context, info) => {
      if (context.viewer.token) check(args, context);
      return inner(parent, args, context, info);
    };
  field.resolve = guarded(resolve);
  if (subscribe) field.subscribe = guarded(subscribe);
}

/** READ comes with every scope. */
function checkRoot(
  field: GraphQLField<unknown, Context>,
  place: string,
  scope: TokenScope,
  args: Record<string, unknown>,
  { viewer }: Context,
): void {
  if (scope !== 'READ' && !viewer.token!.scopes.includes(scope))
    refuse(`${place} needs a client token with the scope ${scope}.`, true);
  for (const arg of field.args) checkInput(arg.type, args[arg.name]);
}

/** What is null is as good as absent. */
function checkInput(type: GraphQLInputType, value: unknown): void {
  const inner = getNullableType(type);
  if (value == null) return;
  if (isListType(inner)) {
    for (const item of value as unknown[]) checkInput(inner.ofType, item);
  } else if (isInputObjectType(inner)) {
    const fields = inner.getFields();
    for (const [name, given] of Object.entries(value)) {
      if (given == null) continue;
      if (!view.get(inner.name)?.has(name)) refuse(`${inner.name}.${name} is not for client tokens.`, true);
      checkInput(fields[name]!.type, given);
    }
  }
}

/** A part of an answer that is refused is no reason for a status of the whole. */
function refuse(message: string, whole: boolean): never {
  throw new RequestError('FORBIDDEN', message, whole);
}

function checkView(schema: GraphQLSchema): void {
  for (const [name, fields] of view) {
    const type = schema.getType(name);
    if (!isObjectType(type) && !isInputObjectType(type)) throw new Error(`the client view shows ${name}, which is no type`);
    for (const field of fields) {
      const of = type.getFields()[field]?.type;
      if (!of) throw new Error(`the client view shows ${name}.${field}, which is no field`);
      const to = getNamedType(of);
      if (isObjectType(to) && !view.has(to.name)) throw new Error(`${name}.${field} shows clients ${to.name}, of which they see nothing`);
    }
  }
}
