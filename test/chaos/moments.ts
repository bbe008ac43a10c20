/** What a kill can hit a process at. */
export const TARGETS = ['model stream', 'tool call', 'between steps', 'submit', 'cancel', 'settle', 'idle'] as const;
export type Target = (typeof TARGETS)[number];

/**
 * Those who know what a process is doing say so here; who wants to kill one at it listens. `reach` returns true when
 * the process is being killed for it.
 */
export interface Moments {
  reach(target: Target, process: string): boolean;
  onReach(listener: (target: Target, process: string) => boolean): void;
}

export function createMoments(): Moments {
  let listen: (target: Target, process: string) => boolean = () => false;
  return {
    reach: (target, process) => listen(target, process),
    onReach(listener) {
      listen = listener;
    },
  };
}
