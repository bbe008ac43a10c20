export const FILENAME_MAX = 255;

/** Control characters, and those that make a text read in another direction than it is written. */
const UNSEEN = /[\p{Cc}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu;

/**
 * What is kept of the name a file is given: the last step of a path, without characters that are not seen. Null when
 * that leaves no name. It is shown to people and never becomes a path here.
 */
export function cleanFilename(given: string): string | null {
  const base = given
    .replace(/^.*[/\\]/s, '')
    .replace(UNSEEN, '')
    .trim()
    .toWellFormed();
  return base === '' || base === '.' || base === '..' ? null : base;
}

/** `report.PDF` → `pdf`; empty without one. */
export const extensionOf = (filename: string): string =>
  /\.([A-Za-z0-9]{1,16})$/.exec(filename)?.[1]?.toLowerCase() ?? '';
