import type { RunStep } from '../runs/run.ts';
import type { Annotation } from '../threads/message.ts';

type FilePath = Annotation & { type: 'filePath' };

/**
 * Finds links to files that the run's code has left (`sandbox:/mnt/data/…`) in a text that comes in pieces. What may
 * become one is held back at the end, so that an annotation is in the delta that carries its text. Only links that were
 * told to the model are links: their texts are known, and no file is guessed at.
 */
export class FileLinks {
  /** Files by their links; of a file that was written again, the newest. */
  readonly #files: ReadonlyMap<string, string>;
  #held = '';

  constructor(steps: readonly Pick<RunStep, 'toolCalls'>[] = []) {
    this.#files = new Map(
      steps.flatMap(({ toolCalls }) =>
        (toolCalls ?? []).flatMap((call) =>
          call.type === 'codeInterpreter' ? call.files.map(({ path, fileId }) => [`sandbox:${path}`, fileId]) : [],
        ),
      ) as [string, string][],
    );
  }

  /** Characters that are held back. */
  get held(): number {
    return this.#held.length;
  }

  /** `offset`: where what comes out stands in its part. */
  read(piece: string, offset: number): { value: string; annotations: FilePath[] } {
    if (this.#files.size === 0) return { value: piece, annotations: [] };
    const text = this.#held + piece;
    const end = text.length - this.#beginning(text);
    this.#held = text.slice(end);
    return this.#link(text.slice(0, end), offset);
  }

  /** What was held back, when nothing follows it in its part. */
  end(offset: number): { value: string; annotations: FilePath[] } {
    const held = this.#held;
    this.#held = '';
    return this.#link(held, offset);
  }

  /** Length of the longest end of a text that a link, or a longer one, may begin with. */
  #beginning(text: string): number {
    let longest = 0;
    for (const link of this.#files.keys()) {
      for (let length = Math.min(link.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(link.slice(0, length))) longest = length;
      }
    }
    return longest;
  }

  #link(value: string, offset: number): { value: string; annotations: FilePath[] } {
    const annotations: FilePath[] = [];
    for (let at = value.indexOf('sandbox:'); at >= 0; at = value.indexOf('sandbox:', at + 1)) {
      let found = '';
      for (const link of this.#files.keys()) if (link.length > found.length && value.startsWith(link, at)) found = link;
      if (found === '') continue;
      const startIndex = offset + at;
      const fileId = this.#files.get(found)!;
      annotations.push({ type: 'filePath', text: found, startIndex, endIndex: startIndex + found.length, fileId });
      at += found.length - 1;
    }
    return { value, annotations };
  }
}
