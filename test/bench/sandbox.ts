import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { createBox } from '../../src/sandbox/box.ts';
import { createBubblewrapDriver } from '../../src/sandbox/bubblewrap/bubblewrap.ts';
import type { BodyDriver } from '../../src/sandbox/body.ts';
import { limitsOf } from '../../src/sandbox/limits.ts';
import { processTree, proportionalMemory } from '../../src/sandbox/process-tree.ts';
import { createPyodideDriver } from '../../src/sandbox/pyodide/pyodide.ts';
import type { Driver } from '../../src/sandbox/sandbox.ts';
import { createSessions } from '../../src/sandbox/sessions.ts';

// By hand: node test/bench/sandbox.ts. Prints what starts, calls and memory of a session take on this machine.

const PANDAS = `
import numpy as np, pandas as pd
frame = pd.DataFrame({'key': np.arange(200_000) % 12, 'value': np.random.rand(200_000)})
sums = frame.groupby('key')['value'].sum()`;
const PLOT = `
import matplotlib.pyplot as plt
sums.plot.bar()
plt.show()`;
const STANDARD = `
import csv, io, statistics
rows = [(i % 12, (i * 7919) % 1000) for i in range(200_000)]
sums = {}
for key, value in rows: sums[key] = sums.get(key, 0) + value`;

async function timed<T>(work: () => Promise<T>): Promise<[number, T]> {
  const began = performance.now();
  const value = await work();
  return [performance.now() - began, value];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Bytes of every process that this one has started, shared pages in parts. */
function memoryNow(): Promise<number> {
  return proportionalMemory(processTree(process.pid).filter((pid) => pid !== process.pid));
}

const row = (name: string, value: string): void => console.log(`  ${name.padEnd(44)} ${value}`);
const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;

type Make = () => Promise<BodyDriver>;

async function measure(name: Driver, make: Make, plain: Make | null): Promise<void> {
  console.log(`\n${name}`);
  const limits = limitsOf(name);
  const [prepared, driver] = await timed(make);
  row('driver, first time on this machine', ms(prepared));
  const starts: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const [took, box] = await timed(async () => createBox(await driver.start(), limits));
    starts.push(took);
    await box.end('closed');
  }
  row(`start of a session${name === 'pyodide' ? ', from the snapshot' : ''} (median of 5)`, ms(median(starts)));

  if (plain) {
    const bare = await plain();
    const [took, box] = await timed(async () => createBox(await bare.start(), limits));
    row('start without a snapshot', ms(took));
    await box.end('closed');
  }
  const box = createBox(await driver.start(), limits);
  const calls: number[] = [];
  for (let round = 0; round < 100; round += 1) calls.push((await timed(() => box.execute('1 + 1')))[0]);
  row('round trip of 1 + 1 (median of 100)', ms(median(calls)));
  row('memory of a session', mib(await memoryNow()));
  const work = name === 'bubblewrap' ? PANDAS : STANDARD;
  const label = name === 'bubblewrap' ? 'pandas: 200 000 rows grouped' : 'standard library: 200 000 rows grouped';
  const [first, result] = await timed(() => box.execute(work));
  if (result.status !== 'ok') throw new Error(result.logs);
  row(`${label}, with imports`, ms(first));
  row('the same again', ms((await timed(() => box.execute(work)))[0]));
  if (name === 'bubblewrap') {
    const [plot, { images }] = await timed(() => box.execute(PLOT));
    row(`bar plot to PNG (${images[0]?.bytes.length} bytes), with imports`, ms(plot));
    row('the same again', ms((await timed(() => box.execute(PLOT)))[0]));
  }
  row('memory of the session afterwards', mib(await memoryNow()));
  row('its end', ms((await timed(() => box.end('closed')))[0]));

  const description = { driver: name, reason: '', python: '', packages: [], isolation: [] };
  const sandbox = createSessions({ driver, limits, description, onProblem: (error) => console.error(error) });
  await (await sandbox.open({ key: 'first', project: 'p' })).execute('1');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const [pooled] = await timed(async () => (await sandbox.open({ key: 'second', project: 'p' })).execute('1 + 1'));
  row('open from the pool, and 1 + 1', ms(pooled));
  await sandbox.close();
}

const cacheDir = await mkdtemp(join(tmpdir(), 'skein-bench-sandbox-'));
const onProblem = (problem: unknown): void => console.error(problem);
const pyodide =
  (snapshot: boolean): Make =>
  () =>
    createPyodideDriver({ limits: limitsOf('pyodide').box, cacheDir, onProblem, snapshot });
const bubblewrap: Make = () => createBubblewrapDriver({ limits: limitsOf('bubblewrap').box });
try {
  await measure('bubblewrap', bubblewrap, null).catch((error: Error) => console.log(`  ${error.message}`));
  await measure('pyodide', pyodide(true), pyodide(false));
} finally {
  await rm(cacheDir, { recursive: true, force: true });
}
