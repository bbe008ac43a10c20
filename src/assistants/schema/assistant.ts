import { z } from 'zod';
import { builder } from '../../graphql/builder.ts';
import { connectionOf, pageArgs, pageCost } from '../../graphql/connection.ts';
import { byId, type List, ofSeen } from '../../graphql/load.ts';
import { createMutation, deleteMutation, type InputFields, mutation } from '../../graphql/mutation.ts';
import { defineNode } from '../../graphql/node.ts';
import { metadata, metadataChange, optional, text, unchanged } from '../../graphql/validation.ts';
import type { Assistant as AssistantRow, Assistants, NewAssistant } from '../assistants.ts';
import type { ToolSetting } from '../settings.ts';
import { checkToolResources, checkTools } from './references.ts';
import {
  NO_RESOURCES,
  ReasoningEffort,
  ResponseFormatInput,
  ResponseFormatRef,
  responseFormatChecked,
  settingsChecked,
  Tool,
  ToolInput,
  ToolResourcesInput,
  ToolResourcesRef,
  toolResourcesChange,
  toolResourcesChecked,
  toolsChecked,
} from './settings.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    assistants: Assistants;
  }
}

export const assistantById = byId<AssistantRow>('Assistant');
/** The assistant of a run or a message, for those who may see these. */
export const namedAssistant = ofSeen('named-assistants', (q, projectId, ids: readonly string[]) =>
  assistantById.read(q, projectId, ids, null),
);
const projectAssistants: List<AssistantRow> = {
  name: 'assistants',
  table: 'Assistant',
  parent: 'projectId',
  key: 'id',
  keyType: 'text',
};

export const Assistant = builder.objectRef<AssistantRow>('Assistant').implement({
  description: 'What should answer: a model with instructions, tools and what they work on.',
  interfaces: [builder.nodeInterfaceRef()],
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Global id, `asst_…`.' }),
    name: t.exposeString('name', { nullable: true, description: 'Up to 256 characters.' }),
    description: t.exposeString('description', { nullable: true, description: 'For people, up to 512 characters.' }),
    model: t.exposeString('model', { description: 'Name of a model that the model server knows.' }),
    instructions: t.exposeString('instructions', {
      nullable: true,
      description: 'System message of its runs, up to 256 000 characters.',
    }),
    tools: t.field({ type: [Tool], description: 'What the model may use, up to 128.', resolve: ({ tools }) => tools }),
    toolResources: t.field({
      type: ToolResourcesRef,
      description: 'What the hosted tools work on, in all of its runs.',
      resolve: ({ toolResources }) => toolResources,
    }),
    responseFormat: t.field({
      type: ResponseFormatRef,
      description: 'What answers must be.',
      resolve: ({ responseFormat }) => responseFormat,
    }),
    temperature: t.exposeFloat('temperature', {
      nullable: true,
      description: "0 to 2; null = the model server's default.",
    }),
    topP: t.exposeFloat('topP', { nullable: true, description: "0 to 1; null = the model server's default." }),
    reasoningEffort: t.field({
      type: ReasoningEffort,
      nullable: true,
      description: "For reasoning models; null = the model server's default.",
      resolve: ({ reasoningEffort }) => reasoningEffort as never,
    }),
    metadata: t.expose('metadata', {
      type: 'JSON',
      description: 'Up to 16 pairs of text: keys up to 64, values up to 512 characters.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was last changed.' }),
  }),
});

export const AssistantConnection = connectionOf('Assistant', Assistant);
defineNode('Assistant', assistantById);

builder.queryField('assistant', (t) =>
  t.field({
    type: Assistant,
    nullable: true,
    description: 'One assistant, or null when there is none with this id.',
    args: { id: t.arg.id({ required: true, description: 'Id of the assistant.' }) },
    resolve: (_root, { id }, { load }) => load.one(assistantById, id),
  }),
);

builder.queryField('assistants', (t) =>
  t.field({
    type: AssistantConnection,
    description: "The project's assistants, newest first.",
    complexity: pageCost,
    args: {
      ...pageArgs(t.arg),
      search: t.arg.string({
        validate: text('search text', 256).nullish() as never,
        description: 'Only those whose name or description holds this text, in any case; up to 256 characters.',
      }),
    },
    resolve: (_root, { search, ...page }, { load, viewer }) =>
      load.page(
        projectAssistants,
        viewer.projectId,
        page,
        search ? matching(search, ['name', 'description']) : undefined,
      ),
  }),
);

/** Rows in which one of the columns holds a text, in any case. */
export const matching = (search: string, columns: string[]) => ({
  name: `search-${columns.join('-')}`,
  text: `(${columns.map((column) => `t.${column} ilike $5`).join(' or ')})`,
  values: [`%${search.replace(/[\\%_]/g, '\\$&')}%`],
});

const fields = {
  model: text('model', 256, 1),
  name: optional(text('name', 256)),
  description: optional(text('description', 512)),
  instructions: optional(text('instructions', 256_000)),
  ...settingsChecked,
};

const NewAssistantChecked = z.object({
  ...fields,
  tools: toolsChecked.nullish().transform((tools): ToolSetting[] => tools ?? []),
  toolResources: toolResourcesChecked.nullish().transform((resources) => resources ?? NO_RESOURCES),
  responseFormat: responseFormatChecked.nullish().transform((format) => format ?? { type: 'AUTO' as const }),
  metadata,
});

const AssistantChangeChecked = z.object({
  assistantId: text('id', 100),
  // Null, too, leaves it: an assistant has a model.
  model: unchanged(fields.model.nullable().transform((model) => model ?? undefined)),
  name: unchanged(fields.name),
  description: unchanged(fields.description),
  instructions: unchanged(fields.instructions),
  temperature: unchanged(fields.temperature),
  topP: unchanged(fields.topP),
  reasoningEffort: unchanged(fields.reasoningEffort),
  tools: unchanged(NewAssistantChecked.shape.tools),
  toolResources: toolResourcesChange,
  responseFormat: unchanged(NewAssistantChecked.shape.responseFormat),
  metadata: metadataChange,
});

const inputFields =
  (create: boolean): InputFields =>
  (t) => ({
    ...(create ? {} : { assistantId: t.id({ required: true, description: 'Id of the assistant.' }) }),
    model: t.string({
      required: create,
      description: 'Name of a model that the model server knows, up to 256 characters.',
    }),
    name: t.string({ description: 'Up to 256 characters.' }),
    description: t.string({ description: 'For people, up to 512 characters.' }),
    instructions: t.string({ description: 'System message of its runs, up to 256 000 characters.' }),
    tools: t.field({ type: [ToolInput], description: 'What the model may use, up to 128, none twice.' }),
    toolResources: t.field({ type: ToolResourcesInput, description: 'What the hosted tools work on.' }),
    responseFormat: t.field({ type: ResponseFormatInput, description: 'What answers must be. Default AUTO.' }),
    temperature: t.float({ description: '0 to 2.' }),
    topP: t.float({ description: '0 to 1.' }),
    reasoningEffort: t.field({ type: ReasoningEffort, description: 'For reasoning models.' }),
    metadata: t.field({ type: 'JSON', description: 'Up to 16 pairs of text; replaces all that was there.' }),
  });

const result = { name: 'assistant', type: Assistant };

createMutation('createAssistant', {
  noun: 'Assistant',
  description: 'Makes an assistant.',
  fields: inputFields(true),
  validate: NewAssistantChecked,
  result: { ...result, description: 'The new assistant.' },
  find: ({ load }, id) => load.one(assistantById, id),
  async resolve(input: NewAssistant, context, id) {
    checkTools(context, input.tools, ['input', 'tools']);
    await checkToolResources(context, input.toolResources, ['input', 'toolResources']);
    await context.rooms.assistants.create(context.viewer.projectId, id, input);
    if (input.toolResources.newStores.length > 0) context.rooms.vectorStores.wakeReaders();
  },
});

mutation('updateAssistant', {
  description:
    'Changes an assistant: what is given replaces what was there, what is left out stays. Runs that have started keep what they started with.',
  fields: inputFields(false),
  validate: AssistantChangeChecked,
  result: { ...result, description: 'The assistant as it is now.' },
  async resolve({ assistantId, ...change }, context) {
    const { rooms, viewer, load } = context;
    if (change.tools) checkTools(context, change.tools, ['input', 'tools']);
    if (change.toolResources) await checkToolResources(context, change.toolResources, ['input', 'toolResources']);
    await rooms.assistants.update(viewer.projectId, assistantId, change);
    return (await load.one(assistantById, assistantId))!;
  },
});

deleteMutation('deleteAssistant', {
  description: 'Deletes an assistant. Its threads, runs and messages stay.',
  fields: (t) => ({ assistantId: t.id({ required: true, description: 'Id of the assistant.' }) }),
  validate: z.object({ assistantId: text('id', 100) }),
  async resolve({ assistantId }, { rooms, viewer }) {
    await rooms.assistants.delete(viewer.projectId, assistantId);
    return assistantId;
  },
});
