import { checkFiles, checkToolResources } from '../../assistants/schema/references.ts';
import type { NewToolResources, ToolResources } from '../../assistants/settings.ts';
import type { Path } from '../../errors.ts';
import type { Context } from '../../graphql/context.ts';
import type { NewMessage } from '../message.ts';
import { searchable } from '../threads.ts';

export interface Naming {
  messages?: { list: NewMessage[]; path: Path };
  toolResources?: { value: ToolResources & Partial<NewToolResources>; path: Path };
}

/** Refuses an input that names a file or a vector store which the caller cannot see. */
export async function checkReferences(context: Context, { messages, toolResources }: Naming): Promise<void> {
  const files: { id: string; path: Path }[] = [];
  messages?.list.forEach(({ content, attachments }, i) => {
    const path = messages.list.length === 1 && messages.path.length === 1 ? messages.path : [...messages.path, i];
    content.forEach((part, j) => {
      if (part.type === 'imageFile')
        files.push({ id: part.fileId, path: [...path, 'content', j, 'imageFile', 'fileId'] });
    });
    attachments.forEach(({ fileId }, j) => files.push({ id: fileId, path: [...path, 'attachments', j, 'fileId'] }));
  });
  await Promise.all([
    checkFiles(context, files),
    toolResources && checkToolResources(context, toolResources.value, toolResources.path),
  ]);
}

/** Tells those who read files in of what was committed with these. */
export function wakeReaders({ rooms }: Context, { messages, toolResources }: Naming): void {
  const stores = (toolResources?.value.newStores ?? []).length;
  if (stores > 0 || searchable(messages?.list ?? []).length > 0) rooms.vectorStores.wakeReaders();
}
