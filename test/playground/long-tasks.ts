import type { Page } from 'playwright-core';

/** How a page kept up with what it was given to do. */
export interface Strain {
  /** Milliseconds of the longest task; 0 = none took 50 ms. */
  longest: number;
  /** Tasks of 50 ms and more, and milliseconds of all of them. */
  tasks: number;
  total: number;
  /** Milliseconds for which its main thread had the processor: what else a machine does is not in it. */
  processor: number;
  /** Milliseconds between two frames: of the slowest, and of the one that 95 of 100 are faster than. */
  slowestFrame: number;
  frame95: number;
}

interface Watched {
  __strain: { tasks: number[]; frames: number[] };
}

/** Measures from now on; the answer ends it. */
export async function strainOf(page: Page): Promise<() => Promise<Strain>> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const processor = async () => {
    const { metrics } = await devtools.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value * 1000;
  };
  const before = await processor();
  await page.evaluate(() => {
    const watched = globalThis as unknown as Watched;
    const strain = (watched.__strain = { tasks: [] as number[], frames: [] as number[] });
    new PerformanceObserver((list) => strain.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: 'longtask' });
    let last = performance.now();
    const frame = (now: number) => {
      strain.frames.push(now - last);
      last = now;
      if (watched.__strain === strain) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  return async () => {
    const spent = Math.round((await processor()) - before);
    await devtools.detach();
    const seen = await page.evaluate(() => {
      const watched = globalThis as unknown as Watched;
      const { tasks, frames } = watched.__strain;
      watched.__strain = { tasks: [], frames: [] };
      frames.sort((a, b) => a - b);
      return {
        longest: Math.round(Math.max(0, ...tasks)),
        tasks: tasks.length,
        total: Math.round(tasks.reduce((sum, ms) => sum + ms, 0)),
        slowestFrame: Math.round(frames.at(-1) ?? 0),
        frame95: Math.round(frames[Math.floor(frames.length * 0.95)] ?? 0),
      };
    });
    return { ...seen, processor: spent };
  };
}

export const inWords = ({ longest, tasks, total, slowestFrame, frame95, processor }: Strain): string =>
  `${processor} ms of the processor, longest task ${longest} ms (${tasks} of 50 ms and more, ${total} ms together), frames: 95 % within ${frame95} ms, slowest ${slowestFrame} ms`;
