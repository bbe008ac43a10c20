import {
  execute as graphqlExecute,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLSchema,
  parse,
  validate,
} from 'graphql';
import type { Logger } from 'pino';
import type { Context } from './context.ts';
import { maskError } from './mask-error.ts';
import { subscribe as rawSubscribe } from './subscribe.ts';

/** Documents that are kept parsed and validated, by their text. */
const DOCUMENTS = 500;
const DOCUMENT_CHARACTERS = 20_000;

/** How operations are run, over HTTP and over WebSockets alike. */
export interface Operations {
  schema: GraphQLSchema;
  /** Parses and validates; the answer is kept for the next operation with this text. */
  document(source: string): DocumentNode | readonly GraphQLError[];
  execute(args: ExecutionArgs): Promise<ExecutionResult>;
  subscribe(args: ExecutionArgs): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult>;
}

export function createOperations(schema: GraphQLSchema, logger: Logger): Operations {
  const documents = new Map<string, DocumentNode | readonly GraphQLError[]>();

  const masked = (result: ExecutionResult, context: unknown): ExecutionResult =>
    result.errors
      ? { ...result, errors: result.errors.map((error) => maskError(error, (context as Context).requestId, logger)) }
      : result;

  function read(source: string): DocumentNode | readonly GraphQLError[] {
    let document: DocumentNode;
    try {
      document = parse(source, { maxTokens: 10_000 });
    } catch (error) {
      return [withCode(error as GraphQLError, 'GRAPHQL_PARSE_FAILED')];
    }
    const errors = validate(schema, document);
    return errors.length > 0 ? errors.map((error) => withCode(error, 'GRAPHQL_VALIDATION_FAILED')) : document;
  }

  return {
    schema,
    document(source) {
      const known = documents.get(source);
      if (known) return known;
      const document = read(source);
      if (source.length <= DOCUMENT_CHARACTERS) {
        if (documents.size >= DOCUMENTS) documents.delete(documents.keys().next().value!);
        documents.set(source, document);
      }
      return document;
    },
    async execute(args) {
      return masked(await graphqlExecute(args), args.contextValue);
    },
    async subscribe(args) {
      const mask = (result: ExecutionResult) => masked(result, args.contextValue);
      return rawSubscribe(args, mask).catch((error: unknown) => mask({ errors: [error as GraphQLError] }));
    },
  };
}

function withCode(error: GraphQLError, code: string): GraphQLError {
  const { message, nodes, source, positions } = error;
  return new GraphQLError(message, { nodes, source, positions, extensions: { code } });
}
