import { type Block, type Extraction, ExtractionFailure, type Format } from './extraction.ts';

/** Blocks travel and are held as JSON: this many are some megabytes. */
const MOST_BLOCKS = 50_000;
/** Characters of one heading that a path repeats. */
const LONGEST_HEADING = 200;
/** Warnings tell a person what to look at; nobody reads more. */
const MOST_WARNINGS = 20;

type Place = Partial<Pick<Block, 'headingPath' | 'page' | 'line' | 'header'>>;

/** Collects the text of a document and where it lies, within bounds. */
export class TextBuilder {
  readonly #format: Format;
  readonly #most: number;
  readonly #parts: string[] = [];
  readonly #blocks: Block[] = [];
  readonly #warnings: string[] = [];
  readonly #trail: { level: number; title: string }[] = [];
  #length = 0;
  #anything = false;
  #place: Place = {};
  #encoding: Extraction['encoding'] = null;

  constructor(format: Format, maxCharacters: number) {
    this.#format = format;
    this.#most = maxCharacters;
  }

  get headingPath(): string[] {
    return this.#trail.map(({ title }) => title);
  }

  set encoding(encoding: Extraction['encoding']) {
    this.#encoding = encoding;
  }

  /** What is added from here on lies there; what is not said stays as it was. */
  at(place: Place): void {
    this.#place = { ...this.#place, ...place };
    this.#begin();
  }

  /** A heading ends the sections of its level and below. Its own text is added by the caller. */
  section(level: number, title: string, place: Place = {}): void {
    while (this.#trail.length > 0 && (this.#trail.at(-1)?.level ?? 0) >= level) this.#trail.pop();
    const name = title.replace(/\s+/g, ' ').trim();
    if (name) this.#trail.push({ level, title: clean(shorten(name, LONGEST_HEADING)) });
    this.at({ ...place, headingPath: this.headingPath });
  }

  add(text: string): void {
    const cleaned = clean(text);
    if (!cleaned) return;
    if (this.#length + cleaned.length > this.#most) throw tooMuchText(this.#most);
    if (this.#blocks.length === 0) this.#begin();
    this.#anything ||= /\S/.test(cleaned);
    this.#parts.push(cleaned);
    this.#length += cleaned.length;
  }

  warn(message: string): void {
    if (this.#warnings.length < MOST_WARNINGS) this.#warnings.push(message);
  }

  finish(noText: string): Extraction {
    if (!this.#anything) throw new ExtractionFailure('no_text', noText);
    this.#close();
    return {
      format: this.#format,
      encoding: this.#encoding,
      text: this.#parts.join(''),
      blocks: this.#blocks,
      warnings: this.#warnings,
    };
  }

  #begin(): void {
    this.#close();
    if (this.#blocks.length >= MOST_BLOCKS)
      throw new ExtractionFailure(
        'too_large',
        `This file has more than ${MOST_BLOCKS.toLocaleString('en')} separate sections. Split it into smaller files.`,
      );
    const { headingPath = [], page = null, line = null, header = null } = this.#place;
    this.#blocks.push({ start: this.#length, end: this.#length, headingPath, page, line, header });
  }

  #close(): void {
    const last = this.#blocks.at(-1);
    if (!last) return;
    last.end = this.#length;
    if (last.start === last.end) this.#blocks.pop();
  }
}

/** PostgreSQL's text knows no null character, and UTF-8 no half of a surrogate pair. */
const clean = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '') : text).toWellFormed();

/** At most so many UTF-16 units, and no half of a character at the end. */
export const shorten = (text: string, most: number): string => text.slice(0, most).replace(/[\ud800-\udbff]$/, '');

export const tooMuchText = (most: number): ExtractionFailure =>
  new ExtractionFailure(
    'too_large',
    `This file has more than ${most.toLocaleString('en')} characters of text. Split it into smaller files.`,
  );
