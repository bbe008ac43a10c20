import { NotFoundError, type Path } from '../../errors.ts';
import { fileById } from '../../files/schema.ts';
import type { Context } from '../../graphql/context.ts';
import type { ToolResources } from '../settings.ts';

/** Refuses ids of files that the caller cannot see. Each comes with its place in the input. */
export async function checkFiles({ load }: Context, files: { id: string; path: Path }[]): Promise<void> {
  const found = await Promise.all(files.map(({ id }) => load.one(fileById, id)));
  const missing = files.find((_, i) => !found[i]);
  if (missing) throw new NotFoundError('file', missing.id, missing.path);
}

/** Refuses resources that the caller cannot see. */
export async function checkToolResources(
  context: Context,
  { codeInterpreter, fileSearch }: ToolResources,
  path: Path,
): Promise<void> {
  const [store] = fileSearch?.vectorStoreIds ?? [];
  if (store !== undefined) throw new NotFoundError('vector store', store, [...path, 'fileSearch', 'vectorStoreIds', 0]);
  const fileIds = codeInterpreter?.fileIds ?? [];
  await checkFiles(
    context,
    fileIds.map((id, i) => ({ id, path: [...path, 'codeInterpreter', 'fileIds', i] })),
  );
}
