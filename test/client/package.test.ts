import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, posix } from 'node:path';
import { gzipSync } from 'node:zlib';
import { print as printLean } from '@0no-co/graphql.web';
import { type DocumentNode, parse, print } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as generated from '../../src/generated/graphql/graphql.ts';
import { readSource } from '../walls/read-source.ts';
import { startSkein, type TestSkein } from '../skein.ts';
import { freshProject, type FreshProject, npm, ROOT, tsc, vite } from './fresh-project.ts';

/** Bytes of gzip. */
const MOST_OF_CLIENT = 15_000;

/** Of the packed client: what comes with it when it is installed. */
const DEPENDENCIES = ['graphql-ws', '@0no-co/graphql.web', '@graphql-typed-document-node/core'];

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

let project: FreshProject;
let manifest: Manifest;

beforeAll(async () => {
  project = await freshProject();
  await project.write({
    'package.json': { name: 'fresh', private: true, type: 'module' },
    // A cache of its own, so that nothing depends on what this machine has once fetched; and no registry.
    '.npmrc': `cache=${join(project.folder, '.cache')}\noffline=true\naudit=false\nfund=false\nupdate-notifier=false\n`,
  });
  // What it depends on comes with it; what it expects its user to have is linked.
  const own = ['dist', ...DEPENDENCIES.map((name) => `node_modules/${name}`)];
  const packed = await project.run(npm('pack', '--ignore-scripts', '--silent', ...own.map((path) => join(ROOT, path))));
  expect(packed).toMatchObject({ code: 0 });
  const tarballs = globSync('*.tgz', { cwd: project.folder }).map((name) => `./${name}`);
  const flags = ['--no-save', '--ignore-scripts', '--legacy-peer-deps', '--no-package-lock'];
  const installed = await project.run(npm('install', ...flags, ...tarballs));
  expect(installed).toMatchObject({ code: 0 });
  await project.link('graphql', 'react', 'react-dom', '@types/react', '@types/react-dom', 'vite');
  await project.link('urql', '@urql/core', '@urql/exchange-graphcache', 'wonka');
  manifest = JSON.parse(readFileSync(join(project.folder, 'node_modules/skein/package.json'), 'utf8')) as Manifest;
});

afterAll(() => project?.remove());

describe('the packed client', () => {
  const inside = () => join(project.folder, 'node_modules/skein');

  /** Everything that can be reached from the doors of the package: its own files, and other packages by their names. */
  function reach(kind: 'types' | 'default'): { files: Set<string>; packages: Set<string> } {
    const files = new Set<string>();
    const packages = new Set<string>();
    const doors = Object.values(manifest.exports).flatMap((door) => (typeof door === 'string' ? [] : [door[kind]]));
    const waiting = doors.map((door) => posix.normalize(door));
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (files.has(path)) continue;
      files.add(path);
      for (const { specifier } of readSource(path, readFileSync(join(inside(), path), 'utf8')).imports) {
        expect(specifier, path).not.toBeNull();
        if (!specifier!.startsWith('.')) packages.add(specifier!);
        else {
          const found = posix.join(dirname(path), specifier!);
          waiting.push(kind === 'types' ? found.replace(/\.(js|tsx?)$/, '.d.ts') : found);
        }
      }
    }
    return { files, packages };
  }

  test('holds what its doors lead to, and nothing else', () => {
    const packed = globSync('**/*', { cwd: inside(), withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => posix.relative(inside(), posix.join(entry.parentPath, entry.name)));
    const scripts = [...reach('default').files];
    // Types that no other file names stand beside their script all the same.
    const types = new Set([...reach('types').files, ...scripts.map((path) => path.replace(/\.js$/, '.d.ts'))]);
    expect(packed.toSorted()).toEqual(['package.json', ...scripts, ...types].toSorted());
    expect(scripts.every((path) => /^(client|generated\/graphql)\//.test(path))).toBe(true);
  });

  test('asks for nothing of Node and for no package that it does not name', () => {
    const named = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
    for (const kind of ['default', 'types'] as const) {
      for (const specifier of reach(kind).packages) {
        const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
        expect(builtinModules, specifier).not.toContain(name.replace('node:', ''));
        expect(named, specifier).toContain(name);
      }
    }
    for (const path of reach('default').files) {
      expect(readFileSync(join(inside(), path), 'utf8'), path).not.toMatch(/\b(process|Buffer|__dirname|require)\b\s*[.([]/);
    }
  });

  test('has the documents of schema/operations, word for word, and none of the tests', async () => {
    const packed = (await import(join(inside(), 'generated/graphql/graphql.js'))) as Record<string, DocumentNode>;
    const operations = globSync('schema/operations/*.graphql', { cwd: ROOT })
      .map((path) => readFileSync(join(ROOT, path), 'utf8'))
      .flatMap((text) => [...text.matchAll(/^(?:query|mutation|subscription) (\w+)/gm)].map(([, name]) => `${name}Document`));
    const names = Object.keys(packed).filter((name) => name.endsWith('Document'));
    expect(names.toSorted()).toEqual(operations.toSorted());
    for (const name of names) {
      expect(packed[name], name).toEqual(generated[name as 'ThreadsDocument']);
      expect(parse(printLean(packed[name]!), { noLocation: true }), name).toEqual(parse(print(packed[name]!), { noLocation: true }));
    }
  });
});

describe('a fresh project', { timeout: 60_000 }, () => {
  let skein: TestSkein;
  beforeAll(async () => {
    skein = await startSkein();
  });
  afterAll(() => skein?.close());

  test('runs the client in Node against a server', async () => {
    await project.write({
      'node.mjs': `
        import { connect, CreateAssistantDocument, emptyConversation, fold, follow, FollowThreadDocument, followThread, StartRunDocument } from 'skein/client';
        const connection = connect({ url: process.argv[2], token: process.argv[3] });
        const { createAssistant } = await connection.request(CreateAssistantDocument, { input: { model: 'offline' } });
        const { startRun } = await connection.request(StartRunDocument, { input: {
          assistantId: createAssistant.assistant.id,
          thread: { messages: [{ content: [{ text: 'count to 20' }] }] },
        } });
        const threadId = startRun.run.thread.id;
        const store = followThread(connection, threadId);
        let state = emptyConversation();
        await new Promise((resolve) => {
          const stop = follow({
            subscribe: connection.subscribe,
            document: FollowThreadDocument,
            variables: (after) => ({ threadId, after }),
            eventOf: ({ threadEvents }) => threadEvents,
            cursorOf: ({ cursor }) => cursor,
            onEvent(event) {
              state = fold(state, event);
              if (state.runs[0]?.status !== 'COMPLETED') return;
              stop();
              resolve();
            },
            onStatus() {},
          });
        });
        while (store.get().conversation.cursor !== state.cursor) await new Promise((resolve) => store.listen(resolve));
        const same = JSON.stringify(store.get().conversation.messages) === JSON.stringify(state.messages);
        store.close();
        connection.close();
        console.log(JSON.stringify({ same, texts: state.messages.map(({ text }) => text) }));
      `,
    });
    const { code, output } = await project.run([process.execPath, 'node.mjs', `${skein.url}/graphql`, skein.key]);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(/^\{/) });
    const { same, texts } = JSON.parse(output) as { same: boolean; texts: string[] };
    expect(same).toBe(true);
    expect(texts).toHaveLength(2);
    expect(texts[1]).toMatch(/19 20$/);
  });

  const STRICT = {
    target: 'es2022',
    strict: true,
    noEmit: true,
    jsx: 'react-jsx',
    lib: ['es2024', 'dom', 'dom.iterable'],
    types: [],
  };

  test.for([
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'preserve', moduleResolution: 'bundler' },
  ])('finds its types by $moduleResolution', async (how) => {
    await project.write({
      'types/page.tsx': readFileSync(join(import.meta.dirname, 'recipes/page.tsx'), 'utf8'),
      'types/wrong.ts': `
        import { connect, fold } from 'skein/client';
        // @ts-expect-error a token is needed
        connect({ url: 'http://127.0.0.1:4000/graphql' });
        // @ts-expect-error this is no event
        fold(null, { __typename: 'Something' });
      `,
      'types/tsconfig.json': { compilerOptions: { ...STRICT, ...how }, include: ['*'] },
    });
    expect(await project.run(tsc('-p', 'types'))).toEqual({ code: 0, output: '' });
  });

  test('builds a page on the hooks', async () => {
    await project.write({
      'index.html': '<!doctype html><div id="root"></div><script type="module" src="./page.tsx"></script>',
      'page.tsx': readFileSync(join(import.meta.dirname, 'recipes/page.tsx'), 'utf8'),
    });
    const built = await project.run(vite('build', '--outDir', 'out', '--logLevel', 'warn'));
    expect(built).toMatchObject({ code: 0, output: '' });
    const [page] = globSync('out/assets/*.js', { cwd: project.folder });
    expect(readFileSync(join(project.folder, page!), 'utf8')).toContain('connection_init');
  });

  test(`has a client of less than ${MOST_OF_CLIENT / 1000} kB gzip`, async () => {
    const client = [
      ...['connect', 'followThread', 'followRun', 'followThreads', 'follow', 'SkeinError'],
      ...['fold', 'conversationOf', 'emptyConversation', 'withOlder', 'StartRunDocument'],
    ].join(', ');
    const entries = {
      client: `export { ${client} } from 'skein/client';`,
      both: `export { ${client} } from 'skein/client'; export * from 'skein/react';`,
      documents: `export * from 'skein/client';`,
    };
    await project.write({
      ...Object.fromEntries(Object.entries(entries).map(([name, code]) => [`size/${name}.js`, code])),
      'size/vite.config.js': `export default {
        logLevel: 'warn',
        build: {
          lib: { entry: process.env.ENTRY, formats: ['es'], fileName: process.env.NAME },
          outDir: process.env.NAME,
          minify: 'oxc',
          target: 'es2022',
          rollupOptions: { external: [/^react(-dom)?($|\\/)/] },
        },
      };`,
    });
    const sizes = await Promise.all(
      Object.keys(entries).map(async (name) => {
        const built = await project.run(vite('build', 'size'), { ENTRY: `${name}.js`, NAME: name });
        expect(built).toMatchObject({ code: 0 });
        const [path] = globSync(`size/${name}/*.js`, { cwd: project.folder });
        return [name, gzipSync(readFileSync(join(project.folder, path!))).length] as const;
      }),
    );
    const { client: ofClient, both, documents } = Object.fromEntries(sizes) as Record<keyof typeof entries, number>;
    console.log(
      `gzip, without React: skein/client ${ofClient} bytes (all of its documents: ${documents}), ` +
        `skein/react on top ${both - ofClient} bytes, with urql and its normalised cache`,
    );
    expect(ofClient).toBeLessThan(MOST_OF_CLIENT);
  });
});
