import type { Outcome } from 'skein/react';
import type { CombinedError } from 'urql';

/** Why the server did not answer, without urql's own marks. */
export const reasonOf = ({ networkError, graphQLErrors }: CombinedError): string =>
  networkError ? `The server cannot be reached: ${networkError.message}` : graphQLErrors.map(({ message }) => message).join(' ');

/** Why something was not done; null when it was. */
export const refusalOf = ({ value, error, refusals }: Outcome<unknown>): string | null =>
  value !== null ? null : (error?.message ?? refusals.map(({ message }) => message).join(' '));
