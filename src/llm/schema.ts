import { builder } from '../graphql/builder.ts';
import { RequestError } from '../graphql/errors.ts';
import { type Llm, LlmError, type LlmModel } from './llm.ts';

declare module '../graphql/context.ts' {
  interface Rooms {
    llm: Llm;
  }
}

const Model = builder.objectRef<LlmModel>('Model').implement({
  description: 'A model that the model server offers.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its name: what `Assistant.model` takes.' }),
    ownedBy: t.exposeString('ownedBy', { nullable: true, description: 'Who the server says it belongs to.' }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the server says it was made.',
    }),
  }),
});

builder.queryField('models', (t) =>
  t.field({
    type: [Model],
    description:
      'What the configured model server offers, asked of it now. `offline` is the built-in model, which is not a language model.',
    resolve: async (_root, _args, { rooms }) => {
      try {
        return await rooms.llm.models();
      } catch (error) {
        if (error instanceof LlmError) throw new RequestError('MODEL_SERVER', error.message);
        throw error;
      }
    },
  }),
);
