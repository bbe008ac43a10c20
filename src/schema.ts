import type { GraphQLSchema } from 'graphql';
import { builder } from './graphql/builder.ts';
import { showToClients } from './graphql/client-view.ts';

// The table of contents: every noun's door adds its part of the graph.
import './graphql/scalars.ts';
import './graphql/node.ts';
import './auth/schema.ts';
import './llm/schema.ts';
import './files/schema.ts';
import './usage/schema.ts';
import './vector-stores/schema/search-result.ts';
import './vector-stores/schema/vector-store.ts';
import './vector-stores/schema/search.ts';
import './vector-stores/schema/mutations.ts';
import './vector-stores/schema/subscriptions.ts';
import './assistants/schema/settings.ts';
import './assistants/schema/assistant.ts';
import './threads/schema/message.ts';
import './threads/schema/thread.ts';
import './threads/schema/subscriptions.ts';
import './runs/schema/step.ts';
import './runs/schema/run.ts';
import './runs/schema/mutations.ts';
import './runs/schema/events.ts';
import './runs/schema/subscriptions.ts';

export const createSchema = (): GraphQLSchema => showToClients(builder.toSchema());
