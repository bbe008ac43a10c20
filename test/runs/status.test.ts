import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { before, isFinal, mayBecome, RUN_STATUSES, type RunStatus } from '../../src/runs/status.ts';

// Assistants v2, run lifecycle, with the original's names in capitals. IN_PROGRESS to itself is ours: a takeover.
const TRANSITIONS: [from: RunStatus[], to: RunStatus][] = [
  [['QUEUED'], 'IN_PROGRESS'],
  [['IN_PROGRESS'], 'IN_PROGRESS'],
  [['IN_PROGRESS'], 'REQUIRES_ACTION'],
  [['REQUIRES_ACTION'], 'QUEUED'],
  [['IN_PROGRESS', 'CANCELLING'], 'COMPLETED'],
  [['IN_PROGRESS', 'CANCELLING'], 'INCOMPLETE'],
  [['QUEUED', 'IN_PROGRESS', 'CANCELLING'], 'FAILED'],
  [['QUEUED', 'IN_PROGRESS', 'REQUIRES_ACTION'], 'CANCELLING'],
  [['CANCELLING'], 'CANCELLED'],
  [['QUEUED', 'IN_PROGRESS', 'REQUIRES_ACTION', 'CANCELLING'], 'EXPIRED'],
];

describe('what a run may become', () => {
  test('is what the lifecycle says, and nothing else', () => {
    const allowed = new Set(TRANSITIONS.flatMap(([froms, to]) => froms.map((from) => `${from} -> ${to}`)));
    const table = new Set(
      RUN_STATUSES.flatMap((from) => RUN_STATUSES.filter((to) => mayBecome(from, to)).map((to) => `${from} -> ${to}`)),
    );
    expect(table).toEqual(allowed);
  });

  test('is nothing any more in five statuses', () => {
    expect(RUN_STATUSES.filter(isFinal)).toEqual(['CANCELLED', 'FAILED', 'COMPLETED', 'INCOMPLETE', 'EXPIRED']);
  });

  test('reads the same backwards', () => {
    for (const to of RUN_STATUSES)
      for (const from of RUN_STATUSES) expect(before(to).includes(from)).toBe(mayBecome(from, to));
  });

  test('is asked of the table by everything that sets a status', () => {
    const source = join(import.meta.dirname, '../../src');
    const writers = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.startsWith('generated'))
      .filter((file) => /update run set status/.test(readFileSync(join(source, file), 'utf8')));
    expect(writers).toEqual(['runs/rows.ts']);
    const savers = readdirSync(join(source, 'runs'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'rows.ts')
      .flatMap((file) =>
        [...readFileSync(join(source, 'runs', file), 'utf8').matchAll(/saveRun\(tx, (\w+)/g)].map(([, name]) => [
          file,
          name!,
        ]),
      )
      .filter(
        ([file, name]) =>
          !new RegExp(`const ${name} = moved\\(`).test(readFileSync(join(source, 'runs', file!), 'utf8')),
      );
    expect(savers).toEqual([]);
  });
});
