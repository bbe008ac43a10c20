import { defineConfig } from 'vitest/config';
import { PATIENCE_MS } from './test/patience.ts';

export default defineConfig({
  // What Node itself would choose: a package with a development build must not be there twice, once for our files and
  // once for other packages.
  ssr: { resolve: { conditions: ['node', 'module-sync'], externalConditions: ['node', 'module-sync'] } },
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**'],
    // Every file gets a process of its own: one that leaks a worker, a timer or a socket cannot hide behind the next.
    pool: 'forks',
    maxWorkers: 2,
    // Milliseconds. A file that needs the embedded database starts one in its hooks, which a busy machine stretches.
    // They end what hangs, and nothing else: what must be fast says so itself.
    testTimeout: 60_000,
    hookTimeout: 180_000,
    teardownTimeout: 20_000,
    expect: { poll: { timeout: PATIENCE_MS } },
  },
});
