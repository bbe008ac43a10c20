import { z } from 'zod';
import { builder } from '../../graphql/builder.ts';
import { jsonSchema, number, optional, text, unchanged } from '../../graphql/validation.ts';
import { File, fileById } from '../../files/schema.ts';
import { mintId } from '../../ids.ts';
import { CreateVectorStoreInput, newStoreChecked } from '../../vector-stores/schema/mutations.ts';
import { rankingChecked } from '../../vector-stores/schema/search.ts';
import { RankingOptions, RankingOptionsInput } from '../../vector-stores/schema/search-result.ts';
import { VectorStore, vectorStoreById } from '../../vector-stores/schema/vector-store.ts';
import {
  type FunctionSetting,
  type NewToolResources,
  REASONING_EFFORTS,
  type ResponseFormat,
  type ToolResources,
  type ToolSetting,
} from '../settings.ts';

/** Tools, formats and resources: what assistants, threads and runs have in common, as types, inputs and checks. */

export const ReasoningEffort = builder.enumType('ReasoningEffort', {
  description: 'How much a reasoning model thinks before it answers. Others ignore it or refuse it.',
  values: Object.fromEntries(
    REASONING_EFFORTS.map((effort) => [
      effort,
      { description: `\`${effort.toLowerCase()}\` on the model server's wire.` },
    ]),
  ) as Record<(typeof REASONING_EFFORTS)[number], { description: string }>,
});

const CodeInterpreterTool = builder
  .objectRef<ToolSetting & { type: 'codeInterpreter' }>('CodeInterpreterTool')
  .implement({
    description: 'Runs Python that the model writes, in a sandbox.',
    fields: (t) => ({
      timeoutSeconds: t.exposeInt('timeoutSeconds', {
        nullable: true,
        description: "Time that one call may take, in seconds; null = the server's default.",
      }),
    }),
  });

const FileSearchTool = builder.objectRef<ToolSetting & { type: 'fileSearch' }>('FileSearchTool').implement({
  description: 'Searches the vector stores of the assistant and of the thread.',
  fields: (t) => ({
    maxNumResults: t.exposeInt('maxNumResults', {
      nullable: true,
      description: "Results of one search, 1 to 50; null = the server's default.",
    }),
    rankingOptions: t.field({
      type: RankingOptions,
      nullable: true,
      description: 'How results are ranked.',
      resolve: (tool) => tool.rankingOptions,
    }),
  }),
});

const FunctionTool = builder.objectRef<FunctionSetting>('FunctionTool').implement({
  description: 'A function of the caller: the run waits in REQUIRES_ACTION for its output.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description: 'Name that the model calls it by: letters, digits, `_` and `-`, up to 64.',
    }),
    description: t.exposeString('description', { nullable: true, description: 'What the model is told of it.' }),
    parameters: t.field({
      type: 'JSON',
      nullable: true,
      description: 'JSON Schema of its arguments; null = it takes none.',
      resolve: (tool) => tool.parameters,
    }),
    strict: t.exposeBoolean('strict', {
      description: 'Whether the model server must hold the arguments to the schema.',
    }),
  }),
});

export const Tool = builder.unionType('Tool', {
  description: 'Something that the model may use.',
  types: [CodeInterpreterTool, FileSearchTool, FunctionTool],
  resolveType: ({ type }) =>
    ({ codeInterpreter: CodeInterpreterTool, fileSearch: FileSearchTool, function: FunctionTool })[type],
});

const ResponseFormatType = builder.enumType('ResponseFormatType', {
  description: 'What an answer must be.',
  values: {
    AUTO: { description: "The model server's own default." },
    TEXT: { description: 'Plain text.' },
    JSON_OBJECT: { description: 'A JSON object; the prompt must ask for JSON as well.' },
    JSON_SCHEMA: { description: 'JSON that fits a schema.' },
  } as const,
});

const JsonSchemaFormat = builder.objectRef<ResponseFormat & { type: 'JSON_SCHEMA' }>('JsonSchemaFormat').implement({
  description: 'The schema that answers must fit.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the format: letters, digits, `_` and `-`, up to 64.' }),
    description: t.exposeString('description', { nullable: true, description: 'What the format is for.' }),
    schema: t.field({
      type: 'JSON',
      nullable: true,
      description: 'The JSON Schema.',
      resolve: (format) => format.schema,
    }),
    strict: t.exposeBoolean('strict', { description: 'Whether the model server must hold answers to the schema.' }),
  }),
});

export const ResponseFormatRef = builder.objectRef<ResponseFormat>('ResponseFormat').implement({
  description: 'What answers must be.',
  fields: (t) => ({
    type: t.field({ type: ResponseFormatType, description: 'The kind of format.', resolve: ({ type }) => type }),
    jsonSchema: t.field({
      type: JsonSchemaFormat,
      nullable: true,
      description: 'The schema, with JSON_SCHEMA only.',
      resolve: (format) => (format.type === 'JSON_SCHEMA' ? format : null),
    }),
  }),
});

const CodeInterpreterResources = builder.objectRef<{ fileIds: string[] }>('CodeInterpreterResources').implement({
  description: 'What the code interpreter finds under /mnt/data.',
  fields: (t) => ({
    fileIds: t.exposeIDList('fileIds', { description: 'Ids of the files, up to 20.' }),
    files: t.field({
      type: [File],
      nullable: { list: false, items: true },
      description: 'The files; null for one that was deleted.',
      resolve: ({ fileIds }, _args, { load }) => Promise.all(fileIds.map((id) => load.one(fileById, id))),
    }),
  }),
});

const FileSearchResources = builder.objectRef<{ vectorStoreIds: string[] }>('FileSearchResources').implement({
  description: 'What file search looks through.',
  fields: (t) => ({
    vectorStoreIds: t.exposeIDList('vectorStoreIds', { description: 'Ids of the vector stores, up to 1.' }),
    vectorStores: t.field({
      type: [VectorStore],
      nullable: { list: false, items: true },
      description: 'The vector stores; null for one that was deleted.',
      resolve: ({ vectorStoreIds }, _args, { load }) =>
        Promise.all(vectorStoreIds.map((id) => load.one(vectorStoreById, id))),
    }),
  }),
});

export const ToolResourcesRef = builder.objectRef<ToolResources>('ToolResources').implement({
  description: 'What the hosted tools work on.',
  fields: (t) => ({
    codeInterpreter: t.field({
      type: CodeInterpreterResources,
      nullable: true,
      description: 'For the code interpreter.',
      resolve: (resources) => resources.codeInterpreter ?? null,
    }),
    fileSearch: t.field({
      type: FileSearchResources,
      nullable: true,
      description: 'For file search.',
      resolve: (resources) => resources.fileSearch ?? null,
    }),
  }),
});

export const ToolInput = builder.inputType('ToolInput', {
  description: 'One tool; exactly one of the fields.',
  isOneOf: true,
  fields: (t) => ({
    codeInterpreter: t.field({
      type: builder.inputType('CodeInterpreterToolInput', {
        description: 'Runs Python that the model writes.',
        fields: (f) => ({ timeoutSeconds: f.int({ description: 'Time that one call may take, 1 to 300 seconds.' }) }),
      }),
      description: 'The code interpreter.',
    }),
    fileSearch: t.field({
      type: builder.inputType('FileSearchToolInput', {
        description: 'Searches vector stores.',
        fields: (f) => ({
          maxNumResults: f.int({ description: 'Results of one search, 1 to 50.' }),
          rankingOptions: f.field({
            type: RankingOptionsInput,
            description: 'How results are ranked.',
          }),
        }),
      }),
      description: 'File search.',
    }),
    function: t.field({
      type: builder.inputType('FunctionToolInput', {
        description: 'A function of the caller.',
        fields: (f) => ({
          name: f.string({
            required: true,
            description:
              'Name that the model calls it by: letters, digits, `_` and `-`, up to 64. Not that of a hosted tool.',
          }),
          description: f.string({ description: 'What the model is told of it.' }),
          parameters: f.field({
            type: 'JSON',
            description: 'JSON Schema object of its arguments; none = it takes none.',
          }),
          strict: f.boolean({
            description: 'Whether the model server must hold the arguments to the schema. Default false.',
          }),
        }),
      }),
      description: 'A function of the caller.',
    }),
  }),
});

export const ResponseFormatInput = builder.inputType('ResponseFormatInput', {
  description: 'What answers must be; exactly one of the fields.',
  isOneOf: true,
  fields: (t) => ({
    type: t.field({ type: ResponseFormatType, description: 'AUTO, TEXT or JSON_OBJECT.' }),
    jsonSchema: t.field({
      type: builder.inputType('JsonSchemaFormatInput', {
        description: 'The schema that answers must fit.',
        fields: (f) => ({
          name: f.string({
            required: true,
            description: 'Name of the format: letters, digits, `_` and `-`, up to 64.',
          }),
          description: f.string({ description: 'What the format is for.' }),
          schema: f.field({ type: 'JSON', description: 'The JSON Schema object.' }),
          strict: f.boolean({
            description: 'Whether the model server must hold answers to the schema. Default false.',
          }),
        }),
      }),
      description: 'JSON that fits a schema.',
    }),
  }),
});

export const ToolResourcesInput = builder.inputType('ToolResourcesInput', {
  description: 'What the hosted tools work on.',
  fields: (t) => ({
    codeInterpreter: t.field({
      type: builder.inputType('CodeInterpreterResourcesInput', {
        description: 'For the code interpreter.',
        fields: (f) => ({ fileIds: f.idList({ required: true, description: 'Ids of files, up to 20.' }) }),
      }),
      description: 'For the code interpreter.',
    }),
    fileSearch: t.field({
      type: builder.inputType('FileSearchResourcesInput', {
        description: 'For file search.',
        fields: (f) => ({
          vectorStoreIds: f.idList({ description: 'Ids of vector stores, up to 1. Either these or `vectorStores`.' }),
          vectorStores: f.field({
            type: [CreateVectorStoreInput],
            description:
              'Vector stores to make with what they are for, up to 1; in creates only. Their `idempotencyKey` counts for nothing. With a thread they expire after 7 days unless they say otherwise.',
          }),
        }),
      }),
      description: 'For file search.',
    }),
  }),
});

/** Names by which the hosted tools are declared to models. */
const HOSTED = ['code_interpreter', 'file_search'];
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const named = (what: string) =>
  text(what, 64, 1).regex(NAME, `The ${what} may hold letters, digits, _ and - only, up to 64.`);

const FunctionChecked = z
  .object({
    name: named('function name').refine(
      (name) => !HOSTED.includes(name),
      'A function may not take the name of a hosted tool.',
    ),
    description: optional(text('function description', 16_384)),
    parameters: optional(jsonSchema('parameters')),
    strict: z.boolean().nullish().transform(Boolean),
  })
  .transform((tool): ToolSetting => ({ type: 'function', ...tool }));

const CodeInterpreterChecked = z
  .object({ timeoutSeconds: optional(number('time-out', 1, 300)) })
  .transform((tool): ToolSetting => ({ type: 'codeInterpreter', ...tool }));

const FileSearchChecked = z
  .object({
    maxNumResults: optional(number('number of results', 1, 50)),
    rankingOptions: rankingChecked,
  })
  .transform((tool): ToolSetting => ({ type: 'fileSearch', ...tool }));

/** By the one field that is given: an error then stands at its own place. */
const TOOLS = {
  function: FunctionChecked,
  codeInterpreter: CodeInterpreterChecked,
  fileSearch: FileSearchChecked,
};

const ToolChecked = z.record(z.string(), z.unknown()).transform((value, context): ToolSetting => {
  const kind = Object.keys(TOOLS).find((name) => value[name] != null) as keyof typeof TOOLS;
  const result = TOOLS[kind].safeParse(value[kind]);
  if (result.success) return result.data as ToolSetting;
  for (const { path, message } of result.error.issues)
    context.addIssue({ code: 'custom', path: [kind, ...path], message });
  return z.NEVER;
});

/** Reference §2: up to 128 tools, no name twice. */
export const toolsChecked = z
  .array(ToolChecked)
  .max(128, 'At most 128 tools are allowed.')
  .superRefine((tools, context) => {
    const names = new Set<string>();
    tools.forEach((tool, i) => {
      const name = tool.type === 'function' ? tool.name : tool.type;
      if (names.has(name))
        context.addIssue({ code: 'custom', path: [i], message: `The tool '${name}' is given twice.` });
      names.add(name);
    });
  });

export const responseFormatChecked = z
  .object({
    type: z.enum(['AUTO', 'TEXT', 'JSON_OBJECT', 'JSON_SCHEMA']).nullish(),
    jsonSchema: z
      .object({
        name: named('format name'),
        description: optional(text('format description', 16_384)),
        schema: optional(jsonSchema('schema')),
        strict: z.boolean().nullish().transform(Boolean),
      })
      .nullish(),
  })
  .transform(({ type, jsonSchema: schema }, context): ResponseFormat => {
    if (schema) return { type: 'JSON_SCHEMA', ...schema };
    if (type === 'JSON_SCHEMA') {
      context.addIssue({
        code: 'custom',
        path: ['type'],
        message: 'JSON_SCHEMA is given as jsonSchema, with its schema.',
      });
      return z.NEVER;
    }
    return { type: type ?? 'AUTO' };
  });

/** With the vector stores that are to be made with what they are for, whose ids are settled here. */
export const toolResourcesChecked = z
  .object({
    codeInterpreter: z.object({ fileIds: z.array(text('id', 100)).max(20, 'At most 20 files are allowed.') }).nullish(),
    fileSearch: z
      .object({
        vectorStoreIds: z
          .array(text('id', 100))
          .max(1, 'At most 1 vector store is allowed.')
          .nullish()
          .transform((ids) => ids ?? []),
        vectorStores: z.array(newStoreChecked).max(1, 'At most 1 vector store is allowed.').nullish(),
      })
      .nullish(),
  })
  .transform(({ codeInterpreter, fileSearch }, context): NewToolResources => {
    const newStores = (fileSearch?.vectorStores ?? []).map((store) => ({ id: mintId('VectorStore'), ...store }));
    if (newStores.length > 0 && fileSearch!.vectorStoreIds.length > 0) {
      const path = ['fileSearch', 'vectorStores'];
      context.addIssue({ code: 'custom', path, message: 'Give `vectorStoreIds` or `vectorStores`, one of them.' });
      return z.NEVER;
    }
    const ids = [...(fileSearch?.vectorStoreIds ?? []), ...newStores.map(({ id }) => id)];
    return {
      codeInterpreter: codeInterpreter ?? null,
      fileSearch: fileSearch ? { vectorStoreIds: ids } : null,
      newStores,
    };
  });

/** For changes of what is there already: absent = unchanged, null = none. */
export const toolResourcesChange = unchanged(
  toolResourcesChecked.nullish().transform((given, context): ToolResources => {
    const { newStores, ...resources } = given ?? NO_RESOURCES;
    if (newStores.length === 0) return resources;
    const message = 'Make the vector store with createVectorStore, and name it here.';
    context.addIssue({ code: 'custom', path: ['fileSearch', 'vectorStores'], message });
    return z.NEVER;
  }),
);

export const NO_RESOURCES: NewToolResources = { codeInterpreter: null, fileSearch: null, newStores: [] };

/** What assistants and runs may set, each null where it is not given. */
export const settingsChecked = {
  temperature: optional(number('temperature', 0, 2)),
  topP: optional(number('topP', 0, 1)),
  reasoningEffort: optional(z.enum(REASONING_EFFORTS)),
};
