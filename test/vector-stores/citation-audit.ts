import { expect } from 'vitest';
import { openRows } from '../graph/rows.ts';
import type { TestSkein } from '../skein.ts';

interface Citation {
  value: string;
  text: string;
  startIndex: number;
  endIndex: number;
  fileId: string;
  quote: string;
  score: number;
  location: { startIndex: number; endIndex: number } | null;
}

/**
 * Every citation that a server has stored: its text stands in the answer where it says, and its quote in what was read
 * out of the file, word for word. The answer is how many there were; those of files whose text is gone since count not.
 */
export async function auditCitations(app: TestSkein): Promise<number> {
  const rows = await openRows(app);
  try {
    const citations = await rows.query<Citation & { storeFiles: string[] | null }>(
      `select p ->> 'value' as value, c.*, (
  select json_agg(f.id) from vector_store_file f where f.file_id = c."fileId" and exists (
    select from extracted_text t where t.vector_store_file_id = f.id)
) as "storeFiles"
from message m, jsonb_array_elements(m.content) p, jsonb_array_elements(p -> 'annotations') a,
  jsonb_to_record(a) as c(text text, "startIndex" int, "endIndex" int, "fileId" text, quote text, score float8, location jsonb)
where p ->> 'type' = 'text' and a ->> 'type' = 'fileCitation'`,
    );
    const texts = new Map<string, string>();
    const textOf = async (storeFile: string): Promise<string> => {
      const known = texts.get(storeFile);
      if (known !== undefined) return known;
      const pieces = await rows.query<{ text: string }>(
        'select text from extracted_text where vector_store_file_id = $1 order by start_index',
        [storeFile],
      );
      const whole = pieces.map(({ text }) => text).join('');
      texts.set(storeFile, whole);
      return whole;
    };
    let checked = 0;
    for (const { value, text, startIndex, endIndex, quote, score, location, storeFiles } of citations) {
      expect(value.slice(startIndex, endIndex)).toBe(text);
      expect(quote.trim()).not.toBe('');
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThanOrEqual(1);
      if (!storeFiles || !location) continue;
      const there = await Promise.all(
        storeFiles.map(async (id) => (await textOf(id)).slice(location.startIndex, location.endIndex)),
      );
      expect(there).toContain(quote);
      checked += 1;
    }
    return checked;
  } finally {
    await rows.close();
  }
}
