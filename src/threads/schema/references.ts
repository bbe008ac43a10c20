import { fileById } from '../../files/schema.ts';
import type { ToolResources } from '../../assistants/settings.ts';
import { NotFoundError, type Path } from '../../errors.ts';
import type { Context } from '../../graphql/context.ts';
import type { NewMessage } from '../message.ts';

interface Naming {
  messages?: { list: NewMessage[]; path: Path };
  toolResources?: { value: ToolResources; path: Path };
}

/** Refuses an input that names a file or a vector store which the caller cannot see. */
export async function checkReferences({ load }: Context, { messages, toolResources }: Naming): Promise<void> {
  const files: { id: string; path: Path }[] = [];
  messages?.list.forEach(({ content, attachments }, i) => {
    const path = messages.list.length === 1 && messages.path.length === 1 ? messages.path : [...messages.path, i];
    content.forEach((part, j) => {
      if (part.type === 'imageFile') files.push({ id: part.fileId, path: [...path, 'content', j, 'imageFile', 'fileId'] });
    });
    attachments.forEach(({ fileId }, j) => files.push({ id: fileId, path: [...path, 'attachments', j, 'fileId'] }));
  });
  if (toolResources) {
    const { codeInterpreter, fileSearch } = toolResources.value;
    codeInterpreter?.fileIds.forEach((id, i) => files.push({ id, path: [...toolResources.path, 'codeInterpreter', 'fileIds', i] }));
    const [store] = fileSearch?.vectorStoreIds ?? [];
    if (store !== undefined) {
      throw new NotFoundError('vector store', store, [...toolResources.path, 'fileSearch', 'vectorStoreIds', 0]);
    }
  }
  const found = await Promise.all(files.map(({ id }) => load.one(fileById, id)));
  const missing = files.find((_, i) => !found[i]);
  if (missing) throw new NotFoundError('file', missing.id, missing.path);
}
