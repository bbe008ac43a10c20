import type { Prisma } from '../generated/prisma/client.ts';
import type { Db, Queryable } from '../db/db.ts';
import { columns, insertRows } from '../db/rows.ts';
import { NotFoundError } from '../errors.ts';
import { insertStore } from '../vector-stores/store-rows.ts';
import type { NewToolResources, ResponseFormat, ToolResources, ToolSetting } from './settings.ts';

/** What should answer: a model with instructions, tools and what they work on. */
export interface Assistant {
  id: string;
  projectId: string;
  name: string | null;
  description: string | null;
  model: string;
  instructions: string | null;
  tools: ToolSetting[];
  toolResources: ToolResources;
  responseFormat: ResponseFormat;
  temperature: number | null;
  topP: number | null;
  reasoningEffort: string | null;
  metadata: Record<string, string>;
  createdAt: Date;
  updatedAt: Date;
}

export type AssistantChange = Partial<Omit<Assistant, 'id' | 'projectId' | 'createdAt' | 'updatedAt'>>;
export type NewAssistant = Required<AssistantChange> & { toolResources: NewToolResources };

export interface Assistants {
  create(projectId: string, id: string, input: NewAssistant): Promise<void>;
  /** Given fields replace the old ones whole; a run that has started keeps what it started with. */
  update(projectId: string, id: string, change: AssistantChange): Promise<void>;
  /** Threads, runs and messages stay, and keep its id. */
  delete(projectId: string, id: string): Promise<void>;
}

export function createAssistants({ db }: { db: Db }): Assistants {
  const { prisma } = db;
  const notFound = (id: string) => new NotFoundError('assistant', id, ['input', 'assistantId']);
  return {
    create: (projectId, id, { toolResources: { newStores, ...toolResources }, ...input }) =>
      db.tx(async (tx) => {
        const now = new Date();
        for (const { id: storeId, ...store } of newStores) await insertStore(tx, projectId, storeId, store);
        tx.write(
          insertRows('Assistant', [{ ...input, toolResources, id, projectId, createdAt: now, updatedAt: now }]),
        );
      }),
    async update(projectId, id, change) {
      const { count } = await prisma.assistant.updateMany({
        where: { id, projectId },
        data: { ...asJson(change), updatedAt: new Date() },
      });
      if (count === 0) throw notFound(id);
    },
    async delete(projectId, id) {
      const { count } = await prisma.assistant.deleteMany({ where: { id, projectId } });
      if (count === 0) throw notFound(id);
    },
  };
}

const READ = `select ${columns('Assistant', 'a')} from assistant a where id = $1 and project_id = $2`;

/** One assistant, as part of what is read or done with it; undefined when there is none. */
export async function readAssistant(q: Queryable, projectId: string, id: string): Promise<Assistant | undefined> {
  const [row] = await q.query<Assistant>({ name: 'assistant-read', text: READ, values: [id, projectId] });
  return row;
}

/** Prisma wants JSON columns as its own input type, which our interfaces fit but do not extend. */
function asJson<Fields extends AssistantChange>({ tools, toolResources, responseFormat, ...rest }: Fields) {
  const json = { tools, toolResources, responseFormat } as unknown as Record<string, Prisma.InputJsonValue>;
  return { ...rest, ...json } as typeof rest & {
    tools: Prisma.InputJsonValue;
    toolResources: Prisma.InputJsonValue;
    responseFormat: Prisma.InputJsonValue;
  };
}
