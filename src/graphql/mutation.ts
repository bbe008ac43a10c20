import type { InputFieldRef, InputObjectRef, ObjectRef } from '@pothos/core';
import type { StandardSchemaV1 } from '@pothos/plugin-validation';
import type { UserError as UserErrorValue } from '../errors.ts';
import { builder, type Types } from './builder.ts';
import type { Context } from './context.ts';
import type { Creates } from './idempotency.ts';
import { UserError } from './user-error.ts';

export type InputFields = Parameters<typeof builder.inputType>[1]['fields'];

interface ShownField<Row> {
  type: 'String' | 'DateTime' | 'ID';
  description: string;
  resolve(row: Row, context: Context): unknown;
}

interface MutationOptions<Input, Row> {
  description: string;
  /** Fields of the mutation's one `input`. */
  fields: InputFields;
  /** Checks the input and turns it into what the room behind the door takes. */
  validate: StandardSchemaV1<unknown, Input>;
  /** The payload's field that holds the object, with its type. Or, with `fields`, what the payload shows of it itself. */
  result: { name: string } & (
    { type: ObjectRef<Types, Row>; description: string } | { fields: Record<string, ShownField<Row>> }
  );
  authScopes?: { admin: boolean };
}

/** A mutation that changes something: `XInput`, `XPayload`, and the field, in the manner of all. */
export function mutation<Input, Row>(
  name: string,
  options: MutationOptions<Input, Row> & { resolve(input: Input, context: Context): Promise<Row> },
): void {
  defineMutation(name, options, undefined, (input, context) => options.resolve(input, context));
}

/**
 * A mutation that makes something: done once per `idempotencyKey`, under an id that is minted before. Answers with the
 * type of its input.
 */
export function createMutation<Input, Row>(
  name: string,
  options: MutationOptions<Input, Row> & {
    noun: Creates['noun'];
    find(context: Context, id: string): Promise<Row | null>;
    threadOf?: Creates['threadOf'];
    /** Makes it; answers with the row where it is at hand. */
    resolve(input: Input, context: Context, id: string): Promise<Row | void>;
  },
): InputObjectRef<Types, unknown> {
  const { noun, find, threadOf, resolve, result } = options;
  return defineMutation(name, options, { noun, find, threadOf, result: result.name }, async (input, context, path) => {
    const id = context.minted.get(path)!;
    const row = (await resolve(input, context, id)) ?? (await find(context, id));
    if (!row) throw new Error(`${id} was made and is not there`);
    return row;
  });
}

/** A mutation that deletes something: its payload has `deletedId`. */
export function deleteMutation<Input>(
  name: string,
  options: Omit<MutationOptions<Input, never>, 'result'> & { resolve(input: Input, context: Context): Promise<string> },
): void {
  const Payload = builder.objectRef<{ deletedId?: string; userErrors?: UserErrorValue[] }>(`${capital(name)}Payload`);
  Payload.implement({
    description: `Answer of \`${name}\`.`,
    fields: (t) => ({
      deletedId: t.exposeID('deletedId', { nullable: true, description: 'Id of what was deleted, null on failure.' }),
      userErrors: userErrorsField(t as never),
    }),
  });
  const Input = inputOf(name, options.fields, false);
  builder.mutationField(name, (t) =>
    t.field({
      type: Payload,
      description: options.description,
      args: { input: t.arg({ type: Input, required: true, validate: options.validate as never, description: INPUT }) },
      resolve: async (_root, args, context) => ({
        deletedId: await options.resolve(checkedInput<Input>(args), context),
      }),
    }),
  );
}

const INPUT = 'What to do, in one object.';

/** What the validation has made of the input, of which Pothos only knows the type that it had before. */
const checkedInput = <Input>(args: unknown): Input => (args as { input: Input }).input;

function defineMutation<Input, Row>(
  name: string,
  options: MutationOptions<Input, Row>,
  creates: Creates | undefined,
  resolve: (input: Input, context: Context, path: string) => Promise<Row>,
): InputObjectRef<Types, unknown> {
  const { result } = options;
  const Payload = builder.objectRef<Record<string, unknown>>(`${capital(name)}Payload`);
  Payload.implement({
    description: `Answer of \`${name}\`.`,
    fields: (t) => ({
      ...('fields' in result
        ? Object.fromEntries(
            Object.entries(result.fields).map(([field, { type, description, resolve: show }]) => [
              field,
              t.field({
                type,
                nullable: true,
                description: `${description} Null on failure.`,
                resolve: (payload, _args, context) =>
                  (payload[result.name] ? show(payload[result.name] as Row, context) : null) as never,
              }),
            ]),
          )
        : {
            [result.name]: t.field({
              type: result.type,
              nullable: true,
              description: `${result.description} Null on failure.`,
              resolve: (payload) => (payload[result.name] ?? null) as never,
            }),
          }),
      userErrors: userErrorsField(t as never),
    }),
  });
  const Input = inputOf(name, options.fields, creates !== undefined);
  builder.mutationField(name, (t) =>
    t.field({
      type: Payload,
      description: options.description,
      ...(options.authScopes ? { authScopes: options.authScopes } : {}),
      args: { input: t.arg({ type: Input, required: true, validate: options.validate as never, description: INPUT }) },
      extensions: creates ? { creates } : {},
      resolve: async (_root, args, context, info) => ({
        [result.name]: await resolve(checkedInput<Input>(args), context, String(info.path.key)),
      }),
    }),
  );
  return Input;
}

function inputOf(name: string, fields: InputFields, idempotent: boolean): InputObjectRef<Types, unknown> {
  return builder.inputType(`${capital(name)}Input`, {
    description: `Input of \`${name}\`.`,
    fields: (t) => ({
      ...(fields as (t: unknown) => Record<string, InputFieldRef<Types, unknown>>)(t),
      ...(idempotent
        ? {
            idempotencyKey: t.string({
              description:
                'Makes the create safe to repeat: the same key with the same input answers with the object that the first ' +
                'one made; with another input it is CONFLICT. 1 to 255 characters, kept 24 hours per project and mutation.',
            }),
          }
        : {}),
    }),
  }) as InputObjectRef<Types, unknown>;
}

type PayloadFields = { field(options: object): never };

const userErrorsField = (t: PayloadFields) =>
  t.field({
    type: [UserError],
    description: 'What the caller can mend, empty on success.',
    resolve: (payload: { userErrors?: UserErrorValue[] }) => payload.userErrors ?? [],
  });

const capital = (name: string) => name[0]!.toUpperCase() + name.slice(1);
