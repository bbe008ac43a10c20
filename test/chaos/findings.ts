/** What must not be, in words: a storm that leaves one has failed. */
export interface Findings {
  readonly list: readonly string[];
  add(finding: string): void;
  /** Adds the finding unless `holds`. */
  expect(holds: boolean, finding: string): void;
}

/** More of one kind say nothing new. */
const MOST = 200;

export function createFindings(): Findings {
  const list: string[] = [];
  const add = (finding: string): void => {
    if (list.length < MOST && !list.includes(finding)) list.push(finding);
  };
  return {
    list,
    add,
    expect(holds, finding) {
      if (!holds) add(finding);
    },
  };
}
