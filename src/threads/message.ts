import { mintId } from '../ids.ts';
import type { ContentDelta } from '../events/event.ts';
import type { SourceLocation } from '../vector-stores/location.ts';

/** A message as it is stored and as events carry it (there, times are ISO strings). */
export interface Message {
  id: string;
  projectId: string;
  threadId: string;
  position: number;
  role: MessageRole;
  status: MessageStatus;
  /** null while the message is being written: its text is in the log's deltas then. */
  content: ContentPart[] | null;
  attachments: Attachment[];
  assistantId: string | null;
  runId: string | null;
  incompleteReason: MessageIncompleteReason | null;
  metadata: Record<string, string>;
  createdAt: Date;
  completedAt: Date | null;
  incompleteAt: Date | null;
}

export type MessageRole = 'USER' | 'ASSISTANT';
export type MessageStatus = 'IN_PROGRESS' | 'COMPLETED' | 'INCOMPLETE';
export type MessageIncompleteReason =
  'CONTENT_FILTER' | 'MAX_TOKENS' | 'RUN_CANCELLED' | 'RUN_EXPIRED' | 'RUN_FAILED' | 'SUPERSEDED';

export type ImageDetail = 'AUTO' | 'LOW' | 'HIGH';
export type ContentPart =
  | { type: 'text'; value: string; annotations: Annotation[] }
  | { type: 'refusal'; value: string }
  | { type: 'imageFile'; fileId: string; detail: ImageDetail }
  | { type: 'imageUrl'; url: string; detail: ImageDetail };

/** Indices are UTF-16 units into the part's value, end exclusive. */
export type Annotation =
  | {
      type: 'fileCitation';
      text: string;
      startIndex: number;
      endIndex: number;
      fileId: string;
      quote: string;
      location: SourceLocation | null;
      score: number;
    }
  | { type: 'filePath'; text: string; startIndex: number; endIndex: number; fileId: string };

export type AttachmentTool = 'CODE_INTERPRETER' | 'FILE_SEARCH';
export interface Attachment {
  fileId: string;
  tools: AttachmentTool[];
}

/** Messages that a thread may hold (reference: Assistants v2, threads). */
export const MESSAGES_PER_THREAD = 100_000;

/** What a caller gives for a message. */
export interface NewMessage {
  role: MessageRole;
  content: ContentPart[];
  attachments: Attachment[];
  metadata: Record<string, string>;
}

/** A caller's message: born final. */
export function callersMessage(
  thread: { id: string; projectId: string },
  position: number,
  input: NewMessage,
  id: string = mintId('Message'),
): Message {
  const now = new Date();
  return {
    id,
    projectId: thread.projectId,
    threadId: thread.id,
    position,
    role: input.role,
    status: 'COMPLETED',
    content: input.content,
    attachments: input.attachments,
    assistantId: null,
    runId: null,
    incompleteReason: null,
    metadata: input.metadata,
    createdAt: now,
    completedAt: now,
    incompleteAt: null,
  };
}

/** A message that a run begins to write. */
export function runsMessage(
  run: { id: string; projectId: string; threadId: string; assistantId: string },
  position: number,
): Message {
  return {
    id: mintId('Message'),
    projectId: run.projectId,
    threadId: run.threadId,
    position,
    role: 'ASSISTANT',
    status: 'IN_PROGRESS',
    content: null,
    attachments: [],
    assistantId: run.assistantId,
    runId: run.id,
    incompleteReason: null,
    metadata: {},
    createdAt: new Date(),
    completedAt: null,
    incompleteAt: null,
  };
}

/** Ends a message that was being written. */
export function finished(message: Message, content: ContentPart[], reason: MessageIncompleteReason | null): Message {
  const now = new Date();
  return {
    ...message,
    content,
    status: reason ? 'INCOMPLETE' : 'COMPLETED',
    incompleteReason: reason,
    completedAt: reason ? null : now,
    incompleteAt: reason ? now : null,
  };
}

/** The text parts of a message joined without a separator. */
export function textOf(content: readonly ContentPart[]): string {
  let text = '';
  for (const part of content) if (part.type === 'text') text += part.value;
  return text;
}

/** Applies deltas, in any number of repetitions, to content: each stands at its offset. */
export function applyDeltas(content: ContentPart[], deltas: readonly ContentDelta[]): void {
  for (const delta of deltas) {
    const part = content[delta.index];
    if (delta.type === 'text') {
      const value = part?.type === 'text' ? part.value : '';
      const annotations = part?.type === 'text' ? part.annotations : [];
      for (const annotation of delta.annotations as Annotation[]) {
        if (
          !annotations.some(
            (known) => known.startIndex === annotation.startIndex && known.endIndex === annotation.endIndex,
          )
        ) {
          annotations.push(annotation);
        }
      }
      content[delta.index] = { type: 'text', value: value.slice(0, delta.offset) + delta.value, annotations };
    } else if (delta.type === 'imageFile') {
      content[delta.index] = { type: 'imageFile', fileId: delta.fileId, detail: 'AUTO' };
    } else {
      const value = part?.type === 'refusal' ? part.value : '';
      content[delta.index] = { type: 'refusal', value: value.slice(0, delta.offset) + delta.value };
    }
  }
}
