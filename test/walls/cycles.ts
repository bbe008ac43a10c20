export type Edges = ReadonlyMap<string, readonly string[]>;

/** Groups of files in which every file reaches every other (Tarjan's strongly connected components). */
export function cycles(edges: Edges): string[][] {
  const found: string[][] = [];
  const index = new Map<string, number>();
  const stack: string[] = [];

  const walk = (file: string): number => {
    const own = index.size;
    let lowest = own;
    index.set(file, own);
    stack.push(file);
    for (const next of edges.get(file) ?? []) {
      if (!index.has(next)) lowest = Math.min(lowest, walk(next));
      else if (stack.includes(next)) lowest = Math.min(lowest, index.get(next) ?? own);
    }
    if (lowest === own) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1 || edges.get(file)?.includes(file)) found.push(group);
    }
    return lowest;
  };
  for (const file of edges.keys()) if (!index.has(file)) walk(file);
  return found;
}

export type Step = (from: string, to: string) => boolean;

/** The shortest way round the group that begins with a step `through` accepts; null when none of its steps is. */
export function wayRound(group: readonly string[], edges: Edges, through: Step): string[] | null {
  const steps = (from: string): string[] => (edges.get(from) ?? []).filter((to) => group.includes(to));
  for (const start of [...group].sort()) {
    const ways = steps(start)
      .filter((to) => through(start, to))
      .map((to) => [start, to]);
    const seen = new Set<string>();
    for (const way of ways) {
      const last = way.at(-1) ?? start;
      if (last === start) return way;
      for (const next of steps(last)) {
        if (seen.has(next)) continue;
        seen.add(next);
        ways.push([...way, next]);
      }
    }
  }
  return null;
}
