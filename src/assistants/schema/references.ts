import { InvalidInputError, NotFoundError, type Path } from '../../errors.ts';
import { fileById } from '../../files/schema.ts';
import type { Context } from '../../graphql/context.ts';
import { checkStoreFiles } from '../../vector-stores/schema/mutations.ts';
import { vectorStoreById } from '../../vector-stores/schema/vector-store.ts';
import type { NewToolResources, ToolResources, ToolSetting } from '../settings.ts';

declare module '../../graphql/context.ts' {
  interface Rooms {
    /** The hosted tools that this server has. */
    hosted: { codeInterpreter: boolean; fileSearch: boolean };
  }
}

const TOOL = { codeInterpreter: 'The code interpreter', fileSearch: 'File search' };

/** Refuses hosted tools that this server does not have. */
export function checkTools({ rooms }: Context, tools: readonly ToolSetting[], path: Path): void {
  tools.forEach(({ type }, i) => {
    if (type === 'function' || rooms.hosted[type]) return;
    const message = `${TOOL[type]} is not available on this server: viewer.sandbox and viewer.search say what is.`;
    throw new InvalidInputError(message, [...path, i, type]);
  });
}

/** Refuses ids of files that the caller cannot see. Each comes with its place in the input. */
export async function checkFiles({ load }: Context, files: { id: string; path: Path }[]): Promise<void> {
  const found = await Promise.all(files.map(({ id }) => load.one(fileById, id)));
  const missing = files.find((_, i) => !found[i]);
  if (missing) throw new NotFoundError('file', missing.id, missing.path);
}

/** Refuses resources that the caller cannot see. */
export async function checkToolResources(
  context: Context,
  { codeInterpreter, fileSearch, newStores = [] }: ToolResources & Partial<NewToolResources>,
  path: Path,
): Promise<void> {
  const storesPath = [...path, 'fileSearch'];
  for (const [i, id] of (fileSearch?.vectorStoreIds ?? []).entries()) {
    if (newStores.some((store) => store.id === id) || (await context.load.one(vectorStoreById, id))) continue;
    throw new NotFoundError('vector store', id, [...storesPath, 'vectorStoreIds', i]);
  }
  await Promise.all([
    checkFiles(
      context,
      (codeInterpreter?.fileIds ?? []).map((id, i) => ({ id, path: [...path, 'codeInterpreter', 'fileIds', i] })),
    ),
    ...newStores.map(({ files }, i) =>
      checkStoreFiles(context, files, (j) => [...storesPath, 'vectorStores', i, 'fileIds', j]),
    ),
  ]);
}
