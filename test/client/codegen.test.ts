import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSkein, type TestSkein } from '../skein.ts';
import { codegen, freshProject, type FreshProject, type Ran, ROOT, tsc } from './fresh-project.ts';

const CODEGEN = readFileSync(join(ROOT, 'codegen.ts'), 'utf8');
const SCHEMA = readFileSync(join(ROOT, 'schema/schema.graphql'), 'utf8');
const SCHEMA_FILE = "schema: 'schema/schema.graphql'";

/** `codegen.ts` with the three places changed that its comment names. */
function copied(schema: string): string {
  const changed = CODEGEN.replace(SCHEMA_FILE, schema)
    .replace("['schema/operations/*.graphql']", "['src/**/*.tsx']")
    .replace("'src/generated/graphql/'", "'src/graphql/'");
  expect(changed.match(/src\/graphql|src\/\*\*/g)).toHaveLength(2);
  return changed;
}

/** The other way that the comment shows, as it stands there. */
function serverOf(url: string): string {
  const lines = CODEGEN.split('\n').map((line) => line.replace(/^\/\/ {5}/, ''));
  const shown = lines.slice(lines.indexOf('schema: {'), lines.indexOf('},') + 1).join('\n');
  expect(shown).toContain('http://localhost:4000');
  return shown.replace('http://localhost:4000', url).replace(/,$/, '');
}

const PAGE = `
import { useQuery } from 'urql';
import { graphql } from './graphql/gql.ts';

const Titles = graphql(\`
  query Titles($first: Int!) {
    threads(first: $first) {
      nodes {
        id
        title
        activeRun { status }
      }
    }
  }
\`);

export function Titles_() {
  const [{ data }] = useQuery({ query: Titles, variables: { first: 3 } });
  const titles: (string | null)[] = data?.threads.nodes.map(({ title }) => title) ?? [];
  const waiting = data?.threads.nodes.some(({ activeRun }) => activeRun?.status === 'REQUIRES_ACTION');
  return <ul data-waiting={waiting}>{titles.map((title) => <li key={title}>{title}</li>)}</ul>;
}
`;

let project: FreshProject;
let fromFile: string;
const generated = () => readFileSync(join(project.folder, 'src/graphql/graphql.ts'), 'utf8');

beforeAll(async () => {
  project = await freshProject();
  await project.link('graphql', '@graphql-codegen/cli', '@graphql-codegen/client-preset', '@graphql-typed-document-node/core');
  await project.link('react', '@types/react', 'urql', '@urql/core', 'wonka', '@types/node');
  await project.write({
    'package.json': { name: 'fresh', private: true, type: 'module' },
    'tsconfig.json': {
      compilerOptions: {
        module: 'preserve',
        strict: true,
        noEmit: true,
        allowImportingTsExtensions: true,
        jsx: 'react-jsx',
        target: 'es2022',
        skipLibCheck: true,
        types: [],
      },
      include: ['src'],
    },
    'src/titles.tsx': PAGE,
    'schema/schema.graphql': SCHEMA,
    'codegen.ts': copied(SCHEMA_FILE),
  });
  await done(generate());
  fromFile = generated();
});

afterAll(() => project?.remove());

const generate = (environment?: Record<string, string>) => project.run(codegen('--config', 'codegen.ts'), environment);
const check = () => project.run(tsc('-p', '.'));
async function done(running: Promise<Ran>): Promise<void> {
  const { code, output } = await running;
  expect(code, output).toBe(0);
}

/** With a schema that has changed, until it has changed back. */
async function withSchema(change: (schema: string) => string, work: () => Promise<void>): Promise<void> {
  const changed = change(SCHEMA);
  expect(changed).not.toBe(SCHEMA);
  await project.write({ 'schema/schema.graphql': changed });
  await work();
  await project.write({ 'schema/schema.graphql': SCHEMA });
}

describe('codegen.ts, copied into another project', { timeout: 60_000 }, () => {
  test('makes a typed hook of a query, from the schema in a file', async () => {
    await done(check());
    const wrong = PAGE.replace('first: 3', "first: 'three'").replace("'REQUIRES_ACTION'", "'SOMETHING'");
    await project.write({ 'src/wrong.tsx': wrong.replaceAll('Titles_', 'Wrong') });
    const { code, output } = await check();
    await project.write({ 'src/wrong.tsx': '' });
    expect(code).not.toBe(0);
    expect(output).toMatch(/Type 'string' is not assignable to type 'number'/);
    expect(output).toMatch(/RunStatus/);
  });

  test('fails when a field that is asked for has another name, and names it', async () => {
    const renamed = (schema: string) => schema.replace(/(^type Thread implements Node \{[\s\S]*?\n {2})title: String$/m, '$1heading: String');
    await withSchema(renamed, async () => {
      const { code, output } = await generate();
      expect(code).not.toBe(0);
      expect(output).toMatch(/Cannot query field "title" on type "Thread"/);
    });
  });

  test('fails the type check when a field has another type, or a value is gone', async () => {
    const changed = (schema: string) =>
      schema
        .replace(/(^type Thread implements Node \{[\s\S]*?\n {2})title: String$/m, '$1title: Int')
        .replace(/(^enum RunStatus \{[\s\S]*?\n {2})REQUIRES_ACTION$/m, '$1WAITS');
    await withSchema(changed, async () => {
      await done(generate());
      const { code, output } = await check();
      expect(code).not.toBe(0);
      expect(output).toMatch(/titles\.tsx.*number/s);
      expect(output).toMatch(/"REQUIRES_ACTION"/);
    });
  });
});

describe('with a server in place of the file', { timeout: 60_000 }, () => {
  let skein: TestSkein;
  beforeAll(async () => {
    skein = await startSkein();
  });
  afterAll(() => skein?.close());

  test('it makes the same', async () => {
    await project.write({ 'codegen.ts': copied(serverOf(skein.url)), 'src/graphql/graphql.ts': '' });
    await done(generate({ SKEIN_API_KEY: skein.key }));
    await done(check());
    expect(generated()).toBe(fromFile);
    const { code, output } = await generate({ SKEIN_API_KEY: 'sk-skein-of-somebody-else' });
    expect(code).not.toBe(0);
    expect(output).toMatch(/key|UNAUTHENTICATED|401/i);
  });
});
