import { GraphQLError } from 'graphql';

/** Codes of GraphQL errors, in `extensions.code`. Expected failures of mutations are `userErrors` instead. */
export type RequestErrorCode =
  | 'UNAUTHENTICATED'
  | 'TOKEN_EXPIRED'
  | 'FORBIDDEN'
  | 'OVER_COST'
  | 'UNKNOWN_CURSOR'
  | 'HINTS_LOST'
  | 'INVALID_INPUT'
  | 'NOT_FOUND'
  | 'BAD_REQUEST'
  | 'PAYLOAD_TOO_LARGE'
  | 'LIMIT_EXCEEDED'
  | 'MODEL_SERVER'
  | 'INTERNAL';

const STATUS: Partial<Record<RequestErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  TOKEN_EXPIRED: 401,
  FORBIDDEN: 403,
  PAYLOAD_TOO_LARGE: 413,
};

/** An error that is shown to the caller as it stands. */
export class RequestError extends GraphQLError {
  /** `whole`: it is the answer, and not a part of one that has others; only then it has a status of its own. */
  constructor(code: RequestErrorCode, message: string, whole = true) {
    const status = whole ? STATUS[code] : undefined;
    super(message, { extensions: { code, ...(status ? { http: { status } } : {}) } });
  }
}

/** What was being read has been deleted meanwhile, together with all that it belonged to. */
export class GoneError extends RequestError {
  constructor(id: string) {
    super('NOT_FOUND', `${id} was deleted while it was read.`);
  }
}

/** What a row refers to for as long as it is there itself. */
export function present<Row>(row: Row | null, id: string): Row {
  if (row === null) throw new GoneError(id);
  return row;
}
