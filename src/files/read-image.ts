import type { Files } from './files.ts';

/** Bytes of one image that is shown to a model; servers take less, or charge for it. */
const MOST_BYTES = 20 * 1024 * 1024;
const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);

/** Reads images as data URLs, for models; what cannot be shown is said in words instead. */
export const createReadImage =
  (files: Pick<Files, 'open'>) =>
  async (projectId: string, fileId: string): Promise<{ url: string } | { missing: string }> => {
    const file = await files.open(projectId, fileId);
    if (!file) return { missing: 'An image that was deleted.' };
    if (!IMAGES.has(file.contentType)) return { missing: `A file that is no image: ${file.contentType}.` };
    if (file.bytes > MOST_BYTES) return { missing: `An image of ${file.bytes} bytes, which is too large to be shown.` };
    const pieces: Buffer[] = [];
    for await (const piece of await file.read()) pieces.push(piece as Buffer);
    return { url: `data:${file.contentType};base64,${Buffer.concat(pieces).toString('base64')}` };
  };
