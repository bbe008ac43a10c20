import { GraphQLError } from 'graphql';
import { InputValidationError } from '@pothos/plugin-validation';
import type { Logger } from 'pino';
import { UserError } from '../errors.ts';

/** What libraries put there, besides what we do. */
interface Extensions {
  code?: string;
  http?: { status?: number };
  originalError?: unknown;
}

/**
 * What a caller sees of an error: those that were made for callers as they are, always with a code, and of all others
 * only that they happened, with the id under which the log has the rest.
 */
export function maskError(error: unknown, requestId: string, logger: Logger): GraphQLError {
  const original = error instanceof GraphQLError ? error.originalError : error;
  const place = error instanceof GraphQLError ? { nodes: error.nodes, path: error.path } : {};
  const refused = original instanceof InputValidationError ? original : null;
  if (error instanceof GraphQLError && !refused && (!original || original instanceof GraphQLError)) {
    const { code, http, originalError } = error.extensions as Extensions;
    if (code && !originalError) return error;
    return new GraphQLError(error.message, {
      ...place,
      source: error.source,
      positions: error.positions,
      extensions: {
        code: code ?? (error.nodes || error.source ? 'BAD_USER_INPUT' : 'BAD_REQUEST'),
        // Of what came with it only the status: the rest tells of the libraries that refused it.
        ...(http ? { http: originalError ? { status: http.status } : http } : {}),
      },
    });
  }
  if (original instanceof UserError)
    return new GraphQLError(original.message, { ...place, extensions: { code: original.code } });
  if (refused) {
    const message = refused.issues.map((issue) => issue.message).join(' ');
    return new GraphQLError(message, { ...place, extensions: { code: 'INVALID_INPUT' } });
  }
  logger.error({ err: original, requestId, path: place.path }, 'a request failed');
  return new GraphQLError(`Something went wrong here; the log has it under request ${requestId}.`, {
    ...place,
    extensions: { code: 'INTERNAL', requestId },
  });
}
