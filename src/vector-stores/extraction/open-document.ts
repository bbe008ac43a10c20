import type { Archive } from './archive.ts';
import { ExtractionFailure } from './extraction.ts';
import { attribute, readXml } from './open-xml.ts';

const CONTENT = 'content.xml';
/** Cells with something in them, repeated ones counted as often as they repeat. */
const MOST_CELLS = 1_000_000;

/**
 * Looks through the one part with the text before a library makes a tree of it: how deep it is, and how many cells its
 * tables become. A repeated cell in a repeated row is a few bytes that turn into billions of cells; empty ones are usual.
 */
export async function verifyOpenDocument(archive: Archive): Promise<void> {
  let cells = 0;
  let rows = 1;
  await readXml(archive, CONTENT, {
    open(name, attributes) {
      if (name === 'table-row') rows = Number(attribute(attributes, 'number-rows-repeated') ?? 1);
      if (name !== 'table-cell' || attribute(attributes, 'value-type') === undefined) return;
      cells += rows * Number(attribute(attributes, 'number-columns-repeated') ?? 1);
      if (cells > MOST_CELLS)
        throw new ExtractionFailure(
          'too_large',
          `This file has more than ${MOST_CELLS.toLocaleString('en')} cells. Split it into smaller files.`,
        );
    },
  });
}
