import { shorten, type TextBuilder } from './text-builder.ts';

/** The header goes with every piece of a table: it must not outweigh the rows. */
const LONGEST_HEADER = 600;
/** Missing rows up to this many are empty lines, which keep the count; a wider gap starts a new block. */
const WIDEST_GAP = 5;
const SEPARATOR = ' | ';

/** One line of text for one row. Line breaks inside of a cell become blanks, so that lines count rows. */
export const rowText = (cells: readonly string[]): string =>
  cells
    .map((cell) => cell.replace(/\s+/g, ' ').trim())
    .join(SEPARATOR)
    .replace(/[ |]+$/, '');

/** Writes the rows of one table below each other and remembers their numbers. */
export class TableText {
  readonly #builder: TextBuilder;
  #next: number | null = null;
  #header: string | null = null;

  constructor(builder: TextBuilder) {
    this.#builder = builder;
  }

  /** `number` is the row's own, from 1; `guess` says that this row may be the names of the columns. */
  add(number: number, cells: readonly string[], guess: boolean): void {
    const text = rowText(cells);
    if (!text) return;
    if (this.#next === null || number - this.#next > WIDEST_GAP)
      this.#builder.at({ line: number, header: this.#header });
    else this.#builder.add('\n'.repeat(number - this.#next));
    this.#builder.add(`${text}\n`);
    this.#next = number + 1;
    if (!guess || !isHeader(cells)) return;
    this.#header = shorten(text, LONGEST_HEADER);
    this.#builder.at({ line: this.#next, header: this.#header });
  }

  get empty(): boolean {
    return this.#next === null;
  }
}

/** Names of columns are short, different from each other and no numbers. */
function isHeader(cells: readonly string[]): boolean {
  const names = cells.map((cell) => cell.trim()).filter(Boolean);
  if (names.length < 2 || new Set(names).size < names.length) return false;
  return names.every((name) => name.length <= 100 && !/^[-+]?[\d.,\s]+%?$/.test(name));
}
