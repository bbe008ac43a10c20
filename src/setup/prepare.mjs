// Makes a clone ready before `npm start` and `npm test`: packages, a Node that runs TypeScript, generated code. Plain
// JavaScript for Node 18 and up, without dependencies: it runs while there is neither a newer Node nor a package. Every
// step is skipped while its inputs are what they were, so a prepared clone costs a few file reads.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, realpathSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setupLock } from './setup-lock.mjs';
import { shareFragments } from './share-fragments.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const generated = join(root, 'src/generated');
const WANTED_NODE = 24;
/** What is made here: a name, and the folder that it fills. */
const PRISMA = { name: 'prisma', folder: join(generated, 'prisma') };
const DOCUMENTS = { name: 'graphql', folder: join(generated, 'graphql') };
const TEST_DOCUMENTS = { name: 'tests', folder: join(generated, 'tests') };
const CLIENT = { name: 'client', folder: join(root, 'dist/client') };
const PLAYGROUND = { name: 'playground', folder: join(root, 'dist/playground') };
/** npm puts node_modules/.bin first on PATH, so the Node that comes as a package is the one that `npm start` runs. */
const packagedNode = join(root, 'node_modules/.bin/node');

/** Something a person has to act on: `message` says what failed and where, `hint` what to do. */
class SetupError extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

const steps = [
  { stale: packagesStale, run: installPackages },
  { stale: nodeStale, run: replaceNode },
  { stale: () => isStale(PRISMA, prismaInputs()), run: generatePrisma },
  { stale: () => isStale(DOCUMENTS, graphqlInputs()), run: generateDocuments },
  { stale: () => isStale(TEST_DOCUMENTS, testDocumentsInputs()), run: generateTestDocuments },
  { stale: () => isStale(CLIENT, clientInputs()), run: buildClient },
  { stale: () => isStale(PLAYGROUND, playgroundInputs()), run: buildPlayground },
];

try {
  await prepare();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`skein: ${error.message}\n       ${error.hint}`);
  process.exitCode = 1;
}

async function prepare() {
  if (!(await anyStale())) return;
  await setupLock(join(generated, '.lock'), async () => {
    for (const step of steps) if (await step.stale()) await step.run();
  });
}

async function anyStale() {
  for (const step of steps) if (await step.stale()) return true;
  return false;
}

// packages

function packagesStale() {
  const stamp = join(root, 'node_modules/.skein-lock.sha256');
  const lock = readFileSync(join(root, 'package-lock.json'));
  if (read(stamp) === sha256(lock)) return false;
  const installed = read(join(root, 'node_modules/.package-lock.json'));
  if (installed === undefined) return true;
  if (!sameTree(JSON.parse(lock.toString()).packages, JSON.parse(installed).packages)) return true;
  writeFileSync(stamp, sha256(lock));
  return false;
}

/** npm's own note of what it installed leaves out the optional packages of other systems, and the project itself. */
function sameTree(wanted, installed) {
  const differs = ([path, entry]) => path !== '' && installed[path]?.version !== entry.version;
  return (
    Object.entries(wanted).every((item) => !differs(item) || (item[1].optional && !installed[item[0]])) &&
    Object.keys(installed).every((path) => path in wanted)
  );
}

async function installPackages() {
  say('installing packages (npm ci), this takes about a minute');
  // No package here needs its install script, and dev packages generate code: neither is left to the caller's settings.
  const args = [
    'ci',
    '--ignore-scripts',
    '--include=dev',
    '--include=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  const npm = process.env.npm_execpath;
  const code =
    npm && /\.c?js$/.test(npm)
      ? (await run(process.execPath, [npm, ...args], { show: true })).code
      : (await run('npm', args, { show: true, shell: process.platform === 'win32' })).code;
  if (code !== 0) {
    throw new SetupError(
      `npm ci failed with exit code ${code} in ${root}`,
      'npm says why above. A registry that cannot be reached is the usual reason; run the command again once it can.',
    );
  }
  if (packagesStale()) {
    throw new SetupError(
      'npm ci ended well, yet node_modules is not what package-lock.json asks for',
      'See whether your npm settings (npm config list) leave packages out, then run the command again.',
    );
  }
}

// a Node that runs TypeScript

async function nodeStale() {
  if (existsSync(packagedNode)) return (await nodeVersion(packagedNode)) < WANTED_NODE;
  return callersNode() < WANTED_NODE;
}

async function replaceNode() {
  const own = callersNode();
  if (own < WANTED_NODE) {
    throw new SetupError(
      `Skein needs Node ${WANTED_NODE} or newer; this is Node ${process.versions.node} (${process.execPath})`,
      'The one that comes with the packages is for Linux with glibc on x64 and arm64, and does not run here ' +
        `(${process.platform} ${process.arch}). Install Node ${WANTED_NODE} yourself, from https://nodejs.org or ` +
        'with your package manager, and run the command again.',
    );
  }
  say('the packaged Node does not run on this system: using yours');
  unlinkSync(packagedNode);
}

function callersNode() {
  return Number.parseInt(process.versions.node, 10);
}

/** Major version, 0 when it does not run. */
async function nodeVersion(path) {
  if (realpathSync(path) === process.execPath) return callersNode();
  const { code, output } = await run(path, ['--version']);
  return code === 0 ? Number.parseInt(output.replace('v', ''), 10) : 0;
}

// generated code

function prismaInputs() {
  return [
    ...versions('prisma', '@prisma/client', '@pothos/plugin-prisma'),
    ...contents(['prisma/schema.prisma', 'prisma.config.ts']),
  ];
}

async function generatePrisma() {
  say('generating the database client (prisma generate)');
  // Generating needs no schema engine, but the command insists on one and would download it. A program that fails
  // stands in: whatever does need the engine then says so instead of printing nothing.
  const absent = ['/bin/false', '/usr/bin/false'].find((path) => existsSync(path)) ?? process.execPath;
  await generate(
    'prisma',
    'prisma',
    ['generate'],
    {
      PRISMA_SCHEMA_ENGINE_BINARY: process.env.PRISMA_SCHEMA_ENGINE_BINARY ?? absent,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    },
    'Mend prisma/schema.prisma (the line is named above) and run the command again.',
  );
  stamp(PRISMA, prismaInputs());
}

function graphqlInputs() {
  return [
    ...versions('@graphql-codegen/cli', '@graphql-codegen/client-preset', 'graphql'),
    ...contents(['codegen.ts', ...files('schema', '.graphql')]),
  ];
}

function testDocumentsInputs() {
  const hasDocument = /\b(graphql|gql)\s*\(|\bgql`|\/\* GraphQL \*\//;
  const tests = files('test', '.ts').filter((path) => hasDocument.test(read(join(root, path))));
  return [...graphqlInputs(), ...contents(['test/codegen.ts', ...tests])];
}

async function generateDocuments() {
  say('generating the typed documents (graphql-codegen)');
  await codegen('codegen.ts');
  stamp(DOCUMENTS, graphqlInputs());
}

async function generateTestDocuments() {
  say('generating the typed documents of the tests (graphql-codegen)');
  await codegen('test/codegen.ts');
  stamp(TEST_DOCUMENTS, testDocumentsInputs());
}

async function codegen(config) {
  if (!existsSync(join(root, 'schema/schema.graphql'))) {
    throw new SetupError(
      'schema/schema.graphql is missing, and the typed documents are made from it',
      'It is a committed file: restore it from git, or print it anew with `node src/setup/print-schema.ts --write`.',
    );
  }
  await generate(
    '@graphql-codegen/cli',
    'graphql-codegen',
    ['--config', config],
    {},
    'A document does not fit schema/schema.graphql. If the graph has just changed, print it first: ' +
      '`node src/setup/print-schema.ts --write`.',
  );
}

// what browsers get

function clientInputs() {
  return [
    ...graphqlInputs(),
    ...versions('typescript', 'react', 'urql', '@urql/core', '@urql/exchange-graphcache', 'graphql-ws'),
    ...versions('@0no-co/graphql.web'),
    ...contents(['package.json', 'src/setup/share-fragments.mjs', 'tsconfig.json', 'tsconfig.web.json', 'tsconfig.client.json', ...files('src/client', '')]),
  ];
}

async function buildClient() {
  say('building the client (dist/client)');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await generate(
    'typescript',
    'tsc',
    ['-p', 'tsconfig.client.json'],
    {},
    'The errors above are in src/client, or in what it is made of.',
  );
  const documents = join(root, 'dist/generated/graphql/graphql.js');
  writeFileSync(documents, shareFragments(read(documents)));
  writeFileSync(join(root, 'dist/package.json'), clientManifest());
  stamp(CLIENT, clientInputs());
}

/** The client as a package of its own: without what only the server needs. */
function clientManifest() {
  const { name, version, description, license, exports, devDependencies, dependencies } = JSON.parse(
    read(join(root, 'package.json')),
  );
  const here = (path) => path.replace('./dist/', './');
  const entries = Object.entries(exports).map(([entry, target]) => [
    entry,
    typeof target === 'string' ? target : { types: here(target.types), default: here(target.default) },
  ]);
  const compatible = (from, names) => Object.fromEntries(names.map((item) => [item, `^${from[item]}`]));
  const forReact = ['@urql/core', '@urql/exchange-graphcache', 'urql', 'wonka'];
  return JSON.stringify(
    {
      name,
      version,
      description: `${description} The typed client.`,
      license,
      type: 'module',
      sideEffects: false,
      exports: Object.fromEntries(entries),
      files: ['client', 'generated'],
      dependencies: {
        ...compatible(dependencies, ['graphql-ws']),
        ...compatible(devDependencies, ['@0no-co/graphql.web', '@graphql-typed-document-node/core']),
      },
      peerDependencies: { graphql: '^16 || ^17', ...compatible(devDependencies, forReact), react: '>=19' },
      peerDependenciesMeta: Object.fromEntries([...forReact, 'react'].map((item) => [item, { optional: true }])),
    },
    null,
    2,
  );
}

function playgroundInputs() {
  return [
    ...clientInputs(),
    ...versions('vite', 'react-dom', '@base-ui/react', 'react-markdown', 'remark-gfm', 'rehype-highlight', 'virtua'),
    ...contents(['vite.config.ts', ...files('src/playground', '')]),
  ];
}

async function buildPlayground() {
  say('building the playground (dist/playground)');
  await generate('vite', 'vite', ['build', '--logLevel', 'warn'], {}, 'The errors above are in src/playground.');
  stamp(PLAYGROUND, playgroundInputs());
}

/** Runs a command that comes with a package; its output is shown only when it fails. */
async function generate(packageName, command, args, env, hint) {
  const { bin } = JSON.parse(read(join(root, 'node_modules', packageName, 'package.json')));
  const node = existsSync(packagedNode) ? packagedNode : process.execPath;
  // Generators call each other by name, as they may under npm.
  const path = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') ?? 'PATH';
  const { code, output } = await run(node, [join(root, 'node_modules', packageName, bin[command]), ...args], {
    env: { ...env, [path]: [join(root, 'node_modules/.bin'), process.env[path]].join(delimiter) },
  });
  if (code === 0) return;
  console.error(output.trim());
  throw new SetupError(`${command} ${args.join(' ')} failed with exit code ${code}`, hint);
}

function isStale({ name, folder }, inputs) {
  return !existsSync(folder) || read(stampPath(name)) !== digest(inputs);
}

function stamp({ name }, inputs) {
  writeFileSync(stampPath(name), digest(inputs));
}

function stampPath(name) {
  return join(generated, `.${name}.sha256`);
}

function versions(...names) {
  const { packages } = JSON.parse(read(join(root, 'package-lock.json')));
  return names.map((name) => `${name}@${packages[`node_modules/${name}`]?.version}`);
}

function contents(paths) {
  return paths.map((path) => `${path}\n${read(join(root, path)) ?? 'missing'}`);
}

/** Paths under a folder, from the root, in a fixed order. */
function files(folder, extension) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return files(path, extension);
      return entry.name.endsWith(extension) ? [path] : [];
    })
    .sort();
}

function digest(parts) {
  return sha256(JSON.stringify(parts));
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function say(what) {
  console.log(`skein: ${what}`);
}

/** `show` lets the program write to the terminal; otherwise what it writes is returned. */
function run(program, args, { env = {}, show = false, shell = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...env },
      shell,
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += chunk));
    child.stderr?.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: -1, output: error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
