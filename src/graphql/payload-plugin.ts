import SchemaBuilderClass, { BasePlugin, type PothosOutputFieldConfig, type SchemaTypes } from '@pothos/core';
import { InputValidationError } from '@pothos/plugin-validation';
import type { GraphQLFieldResolver } from 'graphql';
import { InvalidInputError, UserError } from '../errors.ts';
import type { Context } from './context.ts';
import { type Creates, idempotent } from './idempotency.ts';

/**
 * What all mutations have in common, in one place around their resolvers and their validation: expected failures
 * become `userErrors`, and a create is done once per `idempotencyKey`.
 */
class PayloadPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapArgMappers(
    resolver: GraphQLFieldResolver<unknown, Types['Context'], object> | undefined,
    fieldConfig: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> | undefined {
    if (!resolver || fieldConfig.kind !== 'Mutation') return resolver;
    const creates = fieldConfig.extensions?.creates as Creates | undefined;
    return async (parent, args, context, info) => {
      const resolve = () => Promise.resolve(resolver(parent, args, context, info));
      try {
        if (!creates) return await resolve();
        const { input } = args as { input: Record<string, unknown> };
        return await idempotent(context as Context, fieldConfig.name, creates, input, String(info.path.key), resolve);
      } catch (error) {
        return { userErrors: userErrors(error).map(asValue) };
      }
    };
  }
}

function userErrors(error: unknown): UserError[] {
  if (error instanceof UserError) return [error];
  if (error instanceof InputValidationError) {
    return error.issues.map(({ message, path }) => {
      const steps = (path ?? []).map((step) => (typeof step === 'object' ? step.key : step));
      return new InvalidInputError(
        message,
        steps.map((step) => (typeof step === 'symbol' ? String(step) : step)),
      );
    });
  }
  throw error;
}

/** GraphQL takes an Error that a resolver returns for one that it throws, so what is shown is a plain object. */
const asValue = (error: UserError): object => ({ ...error, message: error.message });

declare global {
  export namespace PothosSchemaTypes {
    export interface Plugins<Types extends SchemaTypes> {
      payload: PayloadPlugin<Types>;
    }
  }
}

export const payloadPlugin = 'payload' as const;
SchemaBuilderClass.registerPlugin(payloadPlugin, PayloadPlugin);
