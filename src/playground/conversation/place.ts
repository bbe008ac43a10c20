interface Location {
  page: number | null;
  startLine: number | null;
  endLine: number | null;
  headingPath: readonly string[];
}

/** A place in a document, in words: its page or its lines, and the headings above it. */
export function placeOf(location: Location | null): string {
  if (!location) return '';
  const { page, startLine, endLine, headingPath } = location;
  const lines = startLine === null ? null : endLine === null || endLine === startLine ? `line ${startLine}` : `lines ${startLine}–${endLine}`;
  const where = page === null ? lines : `page ${page}`;
  return [where, headingPath.join(' › ')].filter(Boolean).join(' · ');
}
