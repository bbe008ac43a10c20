// The whole suite: the type checks, of what runs in Node and of what runs in a browser, which count as one test each, then vitest (walls and drift are tests of it). Arguments
// go to vitest. The last line is `N passed, N failed`, alone; the exit code is 0 only when tests ran and none failed.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Totals {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed, one line each, for the list at the end. */
  failures: string[];
}

/** The part of vitest's JSON report that is read here. */
interface Report {
  success: boolean;
  testResults: {
    name: string;
    status: 'passed' | 'failed';
    assertionResults: { fullName: string; status: 'passed' | 'failed' | 'skipped' | 'pending' | 'todo' | 'disabled' }[];
  }[];
}

const root = join(import.meta.dirname, '..');

const types = sumOf(await Promise.all(['tsconfig.json', 'tsconfig.web.json'].map(typeCheck)));
const tests = await vitest(process.argv.slice(2));
const failures = [...types.failures, ...tests.failures];
const passed = types.passed + tests.passed;
const failed = types.failed + tests.failed;
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join('\n')}`);
if (tests.skipped > 0) console.log(`\nSkipped: ${tests.skipped}`);
process.exitCode = failed > 0 || tests.passed === 0 ? 1 : 0;
console.log(`\n${passed} passed, ${failed} failed`);

async function typeCheck(project: string): Promise<Totals> {
  const code = await run(['node_modules/typescript/bin/tsc', '-p', project]);
  if (code === 0) {
    console.log(`Type check of ${project} passed`);
    return { passed: 1, failed: 0, skipped: 0, failures: [] };
  }
  return { passed: 0, failed: 1, skipped: 0, failures: [`type check of ${project}: the errors are at the top`] };
}

function sumOf(all: Totals[]): Totals {
  return {
    passed: all.reduce((sum, { passed }) => sum + passed, 0),
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
    skipped: all.reduce((sum, { skipped }) => sum + skipped, 0),
    failures: all.flatMap(({ failures }) => failures),
  };
}

async function vitest(args: string[]): Promise<Totals> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-test-'));
  const report = join(folder, 'report.json');
  try {
    const code = await run([
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ]);
    return totals(JSON.parse(readFileSync(report, 'utf8')) as Report, code);
  } catch (error) {
    return { passed: 0, failed: 1, skipped: 0, failures: [`vitest left no report: ${String(error)}`] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function totals(report: Report, code: number): Totals {
  const sum: Totals = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const file of report.testResults) {
    const name = file.name.replace(`${root}/`, '');
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    sum.passed += file.assertionResults.filter((test) => test.status === 'passed').length;
    sum.skipped += file.assertionResults.filter((test) => test.status !== 'passed' && test.status !== 'failed').length;
    sum.failures.push(...failed.map((test) => `${name}: ${test.fullName}`));
    // A file that cannot be imported, or whose hooks fail, has no failed test to show for it.
    if (file.status === 'failed' && failed.length === 0) sum.failures.push(`${name}: the file itself`);
  }
  // An error outside of every test (a rejection nobody awaited, a worker that died) shows in the exit code alone.
  if (code !== 0 && sum.failures.length === 0) sum.failures.push(`vitest ended with ${code}, outside of any test`);
  sum.failed = sum.failures.length;
  return sum;
}

/** Runs a script under the Node that runs this one, in sight; resolves to its exit code. */
function run(args: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? (signal ? 128 : 1)));
  });
}
