/** Lets work through, at most so much at once; the rest waits in order. */
export type Gate = <T>(work: () => Promise<T>) => Promise<T>;

export function createGate(max: number): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async (work) => {
    if (inside < max) inside++;
    else await new Promise<void>((resolve) => waiting.push(resolve)); // whoever leaves hands its place on
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else inside--;
    }
  };
}
