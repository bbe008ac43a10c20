import { expect, test } from 'vitest';
import { committedSchema, printedSchema } from '../../src/setup/print-schema.ts';

test('schema/schema.graphql is the graph as the code makes it', () => {
  const same = committedSchema() === printedSchema();
  expect(same, 'schema/schema.graphql is stale: run `node src/setup/print-schema.ts --write` and review its diff').toBe(
    true,
  );
});
