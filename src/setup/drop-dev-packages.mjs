// Removes what a server does without from node_modules: packages that only build and test, and the Node that comes as a
// package. By the lockfile's word: `npm prune --omit=dev` keeps what is an optional peer of something that stays, which
// is Prisma's command line with React, and half of what it can be used with. For images: it cannot build any more.
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const remove = (path) => rmSync(join(root, path), { recursive: true, force: true });

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
for (const [path, { dev, devOptional }] of Object.entries(packages)) {
  if (dev || devOptional || /^node_modules\/node-linux-/.test(path)) remove(path);
}
// Commands, of which a server runs none, and npm's note of what is no longer true.
remove('node_modules/.bin');
remove('node_modules/.package-lock.json');
for (const name of readdirSync(join(root, 'node_modules'))) {
  if (name.startsWith('@') && readdirSync(join(root, 'node_modules', name)).length === 0) remove(`node_modules/${name}`);
}
