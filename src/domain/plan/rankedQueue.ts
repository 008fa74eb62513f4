/** Numbers that leave in the order of their ranks. To put one in or take one out costs the logarithm of how many there are. */
export type RankedQueue = {
  push: (task: number) => void;
  /** The one of the lowest rank, which stays. */
  first: () => number | undefined;
  pop: () => number | undefined;
  size: () => number;
};

/** A binary heap. @param rankOf fixed for each number */
export function createRankedQueue(rankOf: (task: number) => number): RankedQueue {
  const heap: number[] = [];
  const rankAt = (i: number): number => rankOf(heap[i] ?? 0);
  const swap = (i: number, j: number): void => {
    [heap[i], heap[j]] = [heap[j] ?? 0, heap[i] ?? 0];
  };
  const sink = (): void => {
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2];
      let least = left < heap.length && rankAt(left) < rankAt(i) ? left : i;
      if (right < heap.length && rankAt(right) < rankAt(least)) least = right;
      if (least === i) return;
      swap(i, least);
      i = least;
    }
  };
  return {
    size: () => heap.length,
    first: () => heap[0],
    push: (task) => {
      heap.push(task);
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1;
        if (rankAt(parent) <= rankAt(i)) return;
        swap(parent, i);
        i = parent;
      }
    },
    pop: () => {
      const [first] = heap;
      const last = heap.pop();
      if (heap.length === 0 || last === undefined) return first;
      heap[0] = last;
      sink();
      return first;
    },
  };
}
