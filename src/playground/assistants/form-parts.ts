import type { Draft } from './draft.ts';

/** What every part of the form works with. */
export interface FormParts {
  draft: Draft;
  change(part: Partial<Draft>): void;
  /** What is wrong at a place, or at one of those below it; null when nothing is. */
  problemAt(path: string, below?: boolean): string | null;
}
