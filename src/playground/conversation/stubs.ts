import { useSyncExternalStore } from 'react';

/** Outputs that function calls are answered with by themselves, by the function's name. */
export type Stubs = Readonly<Record<string, string>>;

const NAME = 'skein-stubs';
const listeners = new Set<() => void>();
let stubs: Stubs = JSON.parse(localStorage.getItem(NAME) ?? '{}') as Stubs;

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export const useStubs = (): Stubs => useSyncExternalStore(listen, () => stubs);

/** From now on a function answers so; with null, it is asked for again. */
export function keepStub(name: string, output: string | null): void {
  const { [name]: _gone, ...others } = stubs;
  stubs = output === null ? others : { ...others, [name]: output };
  localStorage.setItem(NAME, JSON.stringify(stubs));
  for (const listener of listeners) listener();
}
