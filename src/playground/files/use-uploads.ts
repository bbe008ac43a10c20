import { useCallback, useEffect, useRef, useState } from 'react';
import type { FilePurpose } from 'skein/client';
import { useSkein } from 'skein/react';
import { sendFile } from './send-file.ts';

/** A file that is being stored, or could not be. */
export interface Upload {
  readonly key: number;
  readonly name: string;
  readonly bytes: number;
  /** Of its bytes, those that have arrived: 0 to 1. Null: it waits for its turn. */
  readonly progress: number | null;
  readonly problem: string | null;
}

export interface Uploads {
  readonly uploads: readonly Upload[];
  /** How many are stored: what is shown of the project's files is old when it changes. */
  readonly stored: number;
  /** The name of the one that was stored last. */
  readonly last: string | null;
  add(files: Iterable<File>, purpose: FilePurpose): void;
  /** Stops one that is under way, and takes it off the list. */
  dismiss(key: number): void;
}

/** Files that are sent at the same time; the others wait. */
const AT_ONCE = 3;

interface Job {
  key: number;
  file: File;
  purpose: FilePurpose;
  leaving: AbortController;
}

/**
 * Stores files, `done` hears the id of each. They go past the cache: lists of files are read anew by those who show
 * them. What is under way goes on when one looks at something else.
 */
export function useUploads(done?: (fileId: string) => void): Uploads {
  const { urql } = useSkein();
  const [uploads, setUploads] = useState<readonly Upload[]>([]);
  const [count, setCount] = useState<{ stored: number; last: string | null }>({ stored: 0, last: null });
  const jobs = useRef({ lastKey: 0, waiting: [] as Job[], running: new Map<number, Job>() });
  const heard = useRef(done);
  useEffect(() => {
    heard.current = done;
  });

  const begin = useCallback(() => {
    const { waiting, running } = jobs.current;
    while (running.size < AT_ONCE && waiting.length > 0) {
      const job = waiting.shift()!;
      const { key, file, purpose, leaving } = job;
      const change = (part: Partial<Upload>) => setUploads((now) => now.map((one) => (one.key === key ? { ...one, ...part } : one)));
      running.set(key, job);
      change({ progress: 0 });
      void sendFile(urql, file, purpose, (progress) => change({ progress }), leaving.signal)
        .then(
          (fileId) => {
            setUploads((now) => now.filter((one) => one.key !== key));
            setCount(({ stored }) => ({ stored: stored + 1, last: file.name }));
            heard.current?.(fileId);
          },
          (error: unknown) => change({ problem: error instanceof Error ? error.message : String(error) }),
        )
        .finally(() => {
          running.delete(key);
          begin();
        });
    }
  }, [urql]);

  const add = useCallback(
    (files: Iterable<File>, purpose: FilePurpose) => {
      for (const file of files) {
        const key = ++jobs.current.lastKey;
        jobs.current.waiting.push({ key, file, purpose, leaving: new AbortController() });
        setUploads((now) => [...now, { key, name: file.name, bytes: file.size, progress: null, problem: null }]);
      }
      begin();
    },
    [begin],
  );

  const dismiss = useCallback((key: number) => {
    const { waiting, running } = jobs.current;
    running.get(key)?.leaving.abort();
    jobs.current.waiting = waiting.filter((job) => job.key !== key);
    setUploads((now) => now.filter((one) => one.key !== key));
  }, []);

  // Closing the window would break them off.
  const busy = uploads.some(({ problem }) => problem === null);
  useEffect(() => {
    if (!busy) return;
    const hold = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', hold);
    return () => removeEventListener('beforeunload', hold);
  }, [busy]);

  return { uploads, ...count, add, dismiss };
}
