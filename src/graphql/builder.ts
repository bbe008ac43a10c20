import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import ValidationPlugin from '@pothos/plugin-validation';
import type PrismaTypes from '../generated/pothos-types.ts';
import { getDatamodel } from '../generated/pothos-types.ts';
import { nounOf } from '../ids.ts';
import type { Context } from './context.ts';
import { COST_LIMITS, overCost } from './cost.ts';
import { RequestError } from './errors.ts';
import { payloadPlugin } from './payload-plugin.ts';

interface BaseTypes {
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  AuthScopes: { admin: boolean };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date | string };
    JSON: { Input: unknown; Output: unknown };
    BigInt: { Input: number; Output: number | bigint };
    /** What a multipart request brought. */
    Upload: { Input: File; Output: never };
  };
}

/** The builder's types with Pothos's defaults filled in: what refs are parametrised with. */
export type Types = PothosSchemaTypes.ExtendDefaultTypes<BaseTypes>;

export const builder = new SchemaBuilder<BaseTypes>({
  plugins: [payloadPlugin, ScopeAuthPlugin, PrismaPlugin, RelayPlugin, ComplexityPlugin, ValidationPlugin],
  defaultFieldNullability: false,
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ viewer }) => ({ admin: viewer.scopes.includes('ADMIN') }),
    unauthorizedError: (_parent, _context, info) =>
      new RequestError('FORBIDDEN', `${info.parentType.name}.${info.fieldName} needs a key with the scope ADMIN.`),
  },
  prisma: { client: ({ db }) => db.prisma, dmmf: getDatamodel() },
  relay: {
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    nodeTypeOptions: {
      description: 'Anything with an id: prefixed, opaque, unique on this server, and good for `node(id)`.',
      resolveType: (value) => nounOf((value as { id: string }).id) ?? undefined,
    },
    idFieldOptions: { description: 'Global id of the object: `<prefix>_<26 characters>`.' },
    pageInfoTypeOptions: { description: 'Where a page of a connection stands in its list.' },
    hasNextPageFieldOptions: { description: 'Whether the list goes on behind this page.' },
    hasPreviousPageFieldOptions: { description: 'Whether the list has something before this page.' },
    startCursorFieldOptions: { description: 'Cursor of the first edge, null on an empty page.' },
    endCursorFieldOptions: { description: 'Cursor of the last edge, null on an empty page.' },
  },
  complexity: {
    defaultComplexity: 1,
    // Lists without arguments hold a few things (tools, parts, calls); connections multiply by their page instead.
    defaultListMultiplier: 3,
    limit: COST_LIMITS,
    complexityError: (_kind, cost) => overCost(cost),
  },
});

builder.queryType({ description: 'Everything that can be read, within the project of the key that asks.' });
builder.mutationType({
  description:
    'Everything that can be done. Every mutation takes one `input` and answers with a payload: the object, or null and `userErrors`.',
});
builder.subscriptionType({
  description: 'What happens, as it happens: over WebSockets (graphql-transport-ws) or SSE.',
});
