import { type Path, type UserError as UserErrorValue, type UserErrorCode as Code } from '../errors.ts';
import { builder } from './builder.ts';

const CODES: Record<Code, string> = {
  INVALID_INPUT: 'The input breaks a rule; `path` says where.',
  NOT_FOUND: 'An id names nothing in this project.',
  THREAD_BUSY: 'The thread has an active run.',
  WRONG_RUN_STATUS: "The run's status does not allow it.",
  QUOTA_EXCEEDED: 'A limit of the project is reached.',
  CONFLICT: 'It contradicts something that was done before.',
  UNSUPPORTED_FILE: 'The file is of a kind that cannot be used for this.',
};

export const UserErrorCode = builder.enumType('UserErrorCode', {
  description: 'Kinds of expected failure.',
  values: Object.fromEntries(Object.entries(CODES).map(([code, description]) => [code, { description }])) as Record<
    Code,
    { description: string }
  >,
});

export const UserError = builder.interfaceRef<UserErrorValue>('UserError').implement({
  description: 'An expected failure: something that the caller can mend. Nothing was stored.',
  resolveType: (error) => TYPE_OF[error.code],
  fields: (t) => ({
    code: t.field({ type: UserErrorCode, description: 'What kind of failure it is.', resolve: ({ code }) => code }),
    message: t.exposeString('message', { description: 'What happened and what to do, for people.' }),
    path: t.stringList({
      nullable: true,
      description: 'Where in the arguments: `input`, field names and list indices. Null when it is no single place.',
      resolve: ({ path }) => textOf(path),
    }),
  }),
});

const TYPE_OF: Record<Code, string> = {
  INVALID_INPUT: 'InvalidInputError',
  NOT_FOUND: 'NotFoundError',
  THREAD_BUSY: 'ThreadBusyError',
  WRONG_RUN_STATUS: 'WrongRunStatusError',
  QUOTA_EXCEEDED: 'QuotaExceededError',
  CONFLICT: 'ConflictError',
  UNSUPPORTED_FILE: 'UnsupportedFileError',
};

for (const [name, description] of [
  ['InvalidInputError', 'The input breaks a rule.'],
  ['QuotaExceededError', 'A limit of the project is reached.'],
  ['ConflictError', 'It contradicts something that was done before: an idempotency key with another input.'],
  ['UnsupportedFileError', 'The file is of a kind that cannot be used for this.'],
] as const) {
  builder.objectRef<UserErrorValue>(name).implement({ description, interfaces: [UserError] });
}

builder.objectRef<UserErrorValue & { id: string }>('NotFoundError').implement({
  description: 'An id names nothing that this key may see.',
  interfaces: [UserError],
  fields: (t) => ({ id: t.exposeID('id', { description: 'The id that was not found.' }) }),
});

const textOf = (path: Path | null): string[] | null => path && path.map(String);
