import type { ConversationMessage } from 'skein/client';

type TextPart = Extract<ConversationMessage['content'][number], { __typename: 'TextContent' }>;
export type Annotation = TextPart['annotations'][number];
export type Citation = Extract<Annotation, { __typename: 'FileCitation' }>;

/** Links of this page's own within Markdown: to a message's citation by its place, and to a file. */
export const CITATION = '#citation-';
export const FILE = '#file-';

/**
 * The text with its annotated stretches as links of this page's own. Markers of citations become links that say a
 * number, the same for the same words of one file; what names a file of the sandbox becomes a link to the file.
 */
export function markedText({ value, annotations }: TextPart): string {
  const numbers = new Map<string, number>();
  let text = '';
  let at = 0;
  const inOrder = annotations.map((annotation, index) => ({ annotation, index }));
  inOrder.sort((a, b) => a.annotation.startIndex - b.annotation.startIndex);
  for (const { annotation, index } of inOrder) {
    const { startIndex, endIndex } = annotation;
    // Of stretches that overlap, the first counts; of one whose text has not come yet, nothing does.
    if (startIndex < at || endIndex > value.length) continue;
    text += value.slice(at, startIndex);
    if (annotation.__typename === 'FileCitation') {
      const place = `${annotation.fileId} ${annotation.location?.startIndex} ${annotation.quote}`;
      const number = numbers.get(place) ?? numbers.size + 1;
      numbers.set(place, number);
      text += `[${number}](${CITATION}${index})`;
    } else {
      const link = `${FILE}${annotation.fileId}`;
      // Where it is not the target of a link already, it becomes one, by the file's name.
      text += text.endsWith('](') ? link : `[${plain(annotation.text.slice(annotation.text.lastIndexOf('/') + 1))}](${link})`;
    }
    at = endIndex;
  }
  return text + value.slice(at);
}

/** A text that Markdown takes as it is. */
const plain = (text: string): string => text.replaceAll(/[\\`*_{}[\]()#+.!|<>~-]/g, '\\$&');
