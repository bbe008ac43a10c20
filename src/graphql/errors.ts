import { GraphQLError } from 'graphql';

/** Codes of GraphQL errors, in `extensions.code`. Expected failures of mutations are `userErrors` instead. */
export type RequestErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'OVER_COST'
  | 'UNKNOWN_CURSOR'
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'BAD_REQUEST'
  | 'PAYLOAD_TOO_LARGE'
  | 'MODEL_SERVER'
  | 'INTERNAL';

const STATUS: Partial<Record<RequestErrorCode, number>> = { UNAUTHENTICATED: 401, FORBIDDEN: 403, PAYLOAD_TOO_LARGE: 413 };

/** An error that is shown to the caller as it stands. */
export class RequestError extends GraphQLError {
  constructor(code: RequestErrorCode, message: string) {
    const status = STATUS[code];
    super(message, { extensions: { code, ...(status ? { http: { status } } : {}) } });
  }
}
