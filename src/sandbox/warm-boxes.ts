import type { Box } from './box.ts';

/** Boxes that stand ready, frozen, so that the next session need not wait for its start. */
export interface WarmBoxes {
  take(): Promise<Box>;
  close(): Promise<void>;
}

export interface WarmOptions {
  start: () => Promise<Box>;
  count: number;
  onProblem: (error: unknown) => void;
}

export function createWarmBoxes({ start, count, onProblem }: WarmOptions): WarmBoxes {
  /** Ready or on its way; oldest first. */
  const spare: Promise<Box>[] = [];
  const making = new Set<Promise<void>>();
  let closed = false;

  const begin = (): Promise<Box> => {
    const box = start().then(async (made) => {
      if (!closed) return made;
      await made.end('closed');
      throw new Error('the sandbox was closed');
    });
    const over = (): void => void making.delete(settled);
    const settled: Promise<void> = box.then(over, over);
    making.add(settled);
    return box;
  };
  const drop = (box: Promise<Box>): boolean => {
    const at = spare.indexOf(box);
    if (at >= 0) spare.splice(at, 1);
    return at >= 0;
  };
  const refill = (): void => {
    while (!closed && spare.length < count) {
      const box = begin();
      spare.push(box);
      box.then(
        ({ gone }) => gone.then(() => drop(box)),
        (error: unknown) => {
          // Whoever took it is told; of one that nobody took, the log.
          if (drop(box) && !closed) onProblem(error);
        },
      );
    }
  };
  refill();
  return {
    async take() {
      const box = spare.shift() ?? begin();
      try {
        return await box;
      } finally {
        // Not before: two that start at once take twice the time each.
        refill();
      }
    },
    async close() {
      closed = true;
      const boxes = await Promise.allSettled(spare);
      await Promise.all([
        ...making,
        ...boxes.map((box) => (box.status === 'fulfilled' ? box.value.end('closed') : undefined)),
      ]);
    },
  };
}
