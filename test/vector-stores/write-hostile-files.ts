// Writes the hostile files into a folder. A process of its own, because making a bomb takes more memory than refusing it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOSTILE } from './hostile-files.ts';

const [folder] = process.argv.slice(2);
if (!folder) throw new Error('Which folder?');
for (const [at, { make }] of HOSTILE.entries()) writeFileSync(join(folder, String(at)), make());
