import type { LlmContentPart, LlmMessage } from '../llm/llm.ts';

/** Reads an image that is stored here as a data URL; what cannot be shown to a model is said in words instead. */
export type ReadImage = (projectId: string, fileId: string) => Promise<{ url: string } | { missing: string }>;

type ImagePart = LlmContentPart & { type: 'imageUrl' };

/** In the place of an image's bytes, until it is known which messages enter the prompt. */
const STORED = 'skein-file:';
/** Characters of all stored images of one prompt, as data URLs: the newest ones are shown. */
const MOST_CHARACTERS = 32 * 1024 * 1024;

export const storedImage = (fileId: string, detail: ImagePart['detail']): ImagePart => ({
  type: 'imageUrl',
  url: `${STORED}${fileId}`,
  detail,
});

const isStored = (part: LlmContentPart): part is ImagePart => part.type === 'imageUrl' && part.url.startsWith(STORED);

/** The messages with the bytes of what users have shown. Of images on the model's own side it is said that they were. */
export async function withImages(messages: LlmMessage[], projectId: string, read: ReadImage): Promise<LlmMessage[]> {
  let room = MOST_CHARACTERS;

  async function shown(part: ImagePart): Promise<LlmContentPart> {
    const image = await read(projectId, part.url.slice(STORED.length));
    if ('missing' in image) return { type: 'text', text: `[${image.missing}]` };
    if (image.url.length > room) return { type: 'text', text: '[An image is left out: there are too many.]' };
    room -= image.url.length;
    return { ...part, url: image.url };
  }

  const done: LlmMessage[] = [];
  for (const message of messages.toReversed()) {
    if (typeof message.content === 'string' || !message.content.some(isStored)) {
      done.push(message);
      continue;
    }
    const content: LlmContentPart[] = [];
    for (const part of message.content.toReversed()) {
      if (!isStored(part)) content.push(part);
      else content.push(message.role === 'user' ? await shown(part) : { type: 'text', text: '[image]' });
    }
    done.push({ ...message, content: content.reverse() } as LlmMessage);
  }
  return done.reverse();
}
