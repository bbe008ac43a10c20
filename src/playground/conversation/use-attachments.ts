import { useCallback, useRef, useState } from 'react';
import type { MessageInput } from 'skein/client';
import { useSkein } from 'skein/react';
import { sendFile } from '../files/send-file.ts';

/** A file that goes with the next message. */
export interface DraftFile {
  readonly key: number;
  readonly name: string;
  readonly isImage: boolean;
  /** Of its bytes, those that have arrived: 0 to 1. */
  readonly progress: number;
  /** Once it is stored. */
  readonly fileId: string | null;
  readonly problem: string | null;
}

export interface Attachments {
  readonly files: readonly DraftFile[];
  /** Whether all of them are stored. */
  readonly ready: boolean;
  add(files: Iterable<File>): void;
  remove(key: number): void;
  clear(): void;
}

const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/** Files that are sent as soon as they are given, to go with the next message. */
export function useAttachments(): Attachments {
  const { urql } = useSkein();
  const [files, setFiles] = useState<readonly DraftFile[]>([]);
  const lastKey = useRef(0);
  const sending = useRef(new Map<number, AbortController>());

  const add = useCallback(
    (given: Iterable<File>) => {
      for (const file of given) {
        const key = ++lastKey.current;
        const isImage = IMAGES.includes(file.type);
        const change = (part: Partial<DraftFile>) =>
          setFiles((now) => now.map((item) => (item.key === key ? { ...item, ...part } : item)));
        const leaving = new AbortController();
        sending.current.set(key, leaving);
        setFiles((now) => [...now, { key, name: file.name, isImage, progress: 0, fileId: null, problem: null }]);
        const purpose = isImage ? 'VISION' : 'ASSISTANTS';
        void sendFile(urql, file, purpose, (progress) => change({ progress }), leaving.signal)
          .then(
            (fileId) => change({ fileId, progress: 1 }),
            (error: unknown) => change({ problem: error instanceof Error ? error.message : String(error) }),
          )
          .finally(() => sending.current.delete(key));
      }
    },
    [urql],
  );

  const remove = useCallback((key: number) => {
    sending.current.get(key)?.abort();
    setFiles((now) => now.filter((item) => item.key !== key));
  }, []);

  const clear = useCallback(() => setFiles([]), []);

  return { files, ready: files.every(({ fileId, problem }) => fileId !== null && problem === null), add, remove, clear };
}

/** A message with files: pictures are shown to the model, the rest is there for its tools. */
export function messageOf(text: string, files: readonly DraftFile[], tools: readonly ('CODE_INTERPRETER' | 'FILE_SEARCH')[]): MessageInput {
  const stored = files.filter(({ fileId }) => fileId !== null);
  const images = stored.filter(({ isImage }) => isImage);
  const others = stored.filter(({ isImage }) => !isImage);
  return {
    content: [...images.map(({ fileId }) => ({ imageFile: { fileId: fileId! } })), ...(text === '' ? [] : [{ text }])],
    attachments: others.map(({ fileId }) => ({ fileId: fileId!, tools: [...tools] })),
  };
}
