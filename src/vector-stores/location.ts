/** Where words stand in a file's extracted text: a UTF-16 range, and what a person would look for. */
export interface SourceLocation {
  startIndex: number;
  endIndex: number;
  page: number | null;
  startLine: number | null;
  endLine: number | null;
  headingPath: string[];
}
