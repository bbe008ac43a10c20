import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSource } from './walls/read-source.ts';
import { breaches, RULES } from './walls/walls.ts';

const root = join(import.meta.dirname, '..');

describe('the walls of src', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((path) => `src/${path.replaceAll('\\', '/')}`)
    .filter((path) => /\.tsx?$/.test(path) && !path.startsWith('src/generated/'))
    .map((path) => readSource(path, readFileSync(join(root, path), 'utf8')));
  const found = breaches(sources);

  test.each(RULES)('every file keeps the rule of: %s', (rule) => {
    expect(found.filter((breach) => breach.rule === rule).map((breach) => breach.text)).toEqual([]);
  });
});

/** What the walls say to a few files: `[rule, text]`. */
function said(files: Record<string, string>): [string, string][] {
  const sources = Object.entries(files).map(([path, text]) => readSource(path, text));
  return breaches(sources).map(({ rule, text }) => [rule, text]);
}

describe('a breach is reported with its file, its line, its import and the rule', () => {
  test.each<[name: string, path: string, text: string, rule: string, report: RegExp]>([
    [
      'a room that knows one above it',
      'src/events/log.ts',
      `import { runs } from '../runs/runs.ts';`,
      'room',
      /^src\/events\/log\.ts:1 imports \.\.\/runs\/runs\.ts: events may import from db\b/,
    ],
    [
      'types, which count too',
      'src/runs/runs.ts',
      `\nimport type { Engine } from '../engine/engine.ts';`,
      'room',
      /^src\/runs\/runs\.ts:2 imports types of .*: runs may import from db, events/,
    ],
    [
      'a type written as an import',
      'src/db/db.ts',
      `type T = import('../threads/threads.ts').T;`,
      'room',
      /imports types of .*: db may import from no room/,
    ],
    [
      'an import at run time',
      'src/llm/openai.ts',
      `await import('../db/db.ts');`,
      'room',
      /llm may import from no room/,
    ],
    [
      'a re-export',
      'src/usage/usage.ts',
      `export * from '../assistants/assistants.ts';`,
      'room',
      /usage may import from db/,
    ],
    ['a computed import', 'src/tools/tool.ts', `await import(name);`, 'room', /a computed path/],
    [
      'a value where only types are open',
      'src/graphql/context.ts',
      `import { read } from '../events/log.ts';`,
      'room',
      /with `import type` from events/,
    ],
    [
      'a specifier that is a type in an import that is none',
      'src/server/http.ts',
      `import { type E } from '../events/log.ts';`,
      'room',
      /imports \.\./,
    ],
    [
      'the engine at a door',
      'src/engine/execute-run.ts',
      `import '../runs/schema.ts';`,
      'room',
      /a door is imported by doors and src\/schema\.ts/,
    ],
    ['a room at its own door', 'src/runs/runs.ts', `import '../runs/schema/run.ts';`, 'room', /a door is imported by/],
    [
      'a door at the engine',
      'src/runs/schema.ts',
      `import '../engine/execute-run.ts';`,
      'room',
      /the door of runs imports graphql, runs, db, .* and the doors of/,
    ],
    [
      'a door at the work',
      'src/runs/schema/run.ts',
      `import '../../work/leases.ts';`,
      'room',
      /the door of runs imports/,
    ],
    [
      'a door at one above it',
      'src/threads/schema.ts',
      `import '../runs/schema.ts';`,
      'room',
      /the door of threads imports/,
    ],
    [
      'the table of contents behind a door',
      'src/schema.ts',
      `import './runs/runs.ts';`,
      'room',
      /imports doors and graphql/,
    ],
    [
      'someone at the composition root',
      'src/server/http.ts',
      `import '../main.ts';`,
      'room',
      /the composition root is imported by nobody/,
    ],
    ['a base file that imports', 'src/config.ts', `import './errors.ts';`, 'room', /config imports nothing of ours/],
    ['a room outside of src', 'src/db/db.ts', `import '../../test/walls/table.ts';`, 'room', /outside of src/],
    [
      'a room that the table lacks',
      'src/helpers/string.ts',
      `export const a = 1;`,
      'room',
      /the room "helpers", which/,
    ],
    [
      'a client of the server',
      'src/client/fold.ts',
      `import type { E } from '../events/event.ts';`,
      'room',
      /the client imports nothing of the server/,
    ],
    [
      'a client that knows rows',
      'src/client/fold.ts',
      `import type { Run } from '../generated/prisma/client.ts';`,
      'room',
      /the typed documents/,
    ],
    [
      'a second home of the database client',
      'src/threads/threads.ts',
      `import { PrismaClient } from '../generated/prisma/client.ts';`,
      'room',
      /only src\/db\//,
    ],
    [
      'a second owner of openai',
      'src/engine/turn.ts',
      `import OpenAI from 'openai/index.mjs';`,
      'owner',
      /only src\/llm\/openai\.ts/,
    ],
    ['a second owner of pg', 'src/work/wake.ts', `import pg from 'pg';`, 'owner', /only src\/db\//],
    [
      'a second owner of processes',
      'src/tools/python.ts',
      `import { spawn } from 'child_process';`,
      'owner',
      /only src\/db\/embedded/,
    ],
    [
      'a logger made elsewhere',
      'src/db/db.ts',
      `import { type Logger } from 'pino';`,
      'owner',
      /with `import type`, everyone/,
    ],
    ['GraphQL behind a door', 'src/runs/runs.ts', `import { GraphQLError } from 'graphql';`, 'owner', /and doors may/],
    [
      'the environment',
      'src/db/db.ts',
      `const a = globalThis.process['env'].A;`,
      'environment',
      /^src\/db\/db\.ts:1 reads process\.env/,
    ],
    ['the environment, taken apart', 'src/db/db.ts', `const { env } = process;`, 'environment', /reads process\.env/],
    [
      'the environment, imported',
      'src/db/db.ts',
      `import { env } from 'node:process';`,
      'environment',
      /reads process\.env/,
    ],
    ['a default export', 'src/llm/llm.ts', `export default {};`, 'default export', /exports are named/],
    ['a long file', 'src/llm/llm.ts', '\n'.repeat(401), 'length', /^src\/llm\/llm\.ts:401 is longer than 400 lines/],
  ])('%s', (_name, path, text, rule, report) => {
    expect(said({ [path]: text })).toEqual([[rule, expect.stringMatching(report)]]);
  });

  test('files that load each other', () => {
    expect(
      said({
        'src/runs/runs.ts': `import './settle.ts';`,
        'src/runs/settle.ts': `import './rows.ts';`,
        'src/runs/rows.ts': `import './runs.ts';`,
      }),
    ).toEqual([
      [
        'cycle',
        'src/runs/rows.ts → src/runs/runs.ts → src/runs/settle.ts → src/runs/rows.ts: these files load each other',
      ],
    ]);
  });

  test('files of several rooms that know each other', () => {
    const [, cycle] = said({
      'src/threads/a.ts': `import type { B } from '../events/b.ts';`,
      'src/events/b.ts': `import type { A } from '../threads/a.ts';`,
    });
    expect(cycle).toEqual([
      'cycle',
      'src/events/b.ts → src/threads/a.ts → src/events/b.ts: these files of several rooms know each other',
    ]);
  });
});

describe('nothing is said about', () => {
  test.each<[name: string, files: Record<string, string>]>([
    [
      'a room and the ones below it',
      {
        'src/runs/runs.ts': `import { lock } from '../threads/threads.ts'; import { UserError } from '../errors.ts';`,
      },
    ],
    [
      'a door, its room, graphql and the doors below',
      {
        'src/runs/schema.ts': `
        import './runs.ts';
        import '../graphql/builder.ts';
        import '../threads/schema/message.ts';
        import { GraphQLError } from 'graphql';`,
      },
    ],
    [
      'the composition root',
      {
        'src/main.ts': `import './config.ts'; import './skein.ts'; import './engine/worker.ts'; import pino from 'pino';`,
      },
    ],
    [
      'types that meet in a circle inside a room',
      {
        'src/runs/run.ts': `import type { B } from './status.ts';`,
        'src/runs/status.ts': `import { a } from './run.ts';`,
      },
    ],
    [
      'types of the logger and of the database client',
      {
        'src/work/leases.ts': `
        import type { Logger } from 'pino';
        import type { Run } from '../generated/prisma/client.ts';`,
      },
    ],
    [
      'imports in text and comments',
      {
        'src/llm/offline.ts': `// import '../db/db.ts'\nconst a = "import '../db/db.ts'; process.env";`,
      },
    ],
    ['a file of exactly the most lines', { 'src/llm/offline.ts': 'export const a = 1;\n'.repeat(400) }],
  ])('%s', (_name, files) => {
    expect(said(files)).toEqual([]);
  });
});
