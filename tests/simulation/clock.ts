/** Something that will happen. `owner` is the process it happens in; 0 = outside of all. */
type Happening = { at: number; order: number; owner: number; run: () => void; cancelled: boolean };

/** What a process is: gone, stopped for a while, or at work. */
type Standing = 'alive' | 'stopped' | 'dead';

/**
 * The one time of a simulated world, in ms, and everything that is going to happen in it. Nothing happens but by `step`,
 * in order of time and then of asking, so a world is a function of its seed.
 */
export type Clock = {
  now: () => number;
  /** The process whose code is running. */
  owner: () => number;
  /** @returns takes it back */
  after: (ms: number, run: () => void, owner?: number) => () => void;
  /** Runs `work` as code of `owner`, with everything that it sets off at once. */
  as: (owner: number, work: () => void) => void;
  standing: (owner: number) => Standing;
  setStanding: (owner: number, standing: Standing) => void;
  /** Lets the next thing happen. @returns false if nothing is left */
  step: () => boolean;
  steps: () => number;
};

/** Runs promise callbacks until none is left. Undocumented, and the only way to do so without turning the event loop. */
const drain = (process as unknown as { _tickCallback: () => void })._tickCallback.bind(process);

/** The earliest first: a binary heap. */
function createQueue(): { put: (happening: Happening) => void; take: () => Happening | undefined } {
  const heap: Happening[] = [];
  const before = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);
  const put = (happening: Happening): void => {
    let i = heap.push(happening) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Happening;
      if (!before(happening, above)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = happening;
  };
  const sink = (moved: Happening): void => {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && before(right, heap[child] as Happening)) child++;
      const least = heap[child] as Happening;
      if (!before(least, moved)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = moved;
  };
  const take = (): Happening | undefined => {
    const first = heap[0];
    const last = heap.pop();
    if (first !== undefined && last !== undefined && heap.length > 0) sink(last);
    return first;
  };
  return { put, take };
}

export function createClock(): Clock {
  const { put, take } = createQueue();
  const held = new Map<number, Happening[]>();
  const standings = new Map<number, Standing>();
  let now = 0;
  let order = 0;
  let current = 0;
  let steps = 0;
  const as = (owner: number, work: () => void): void => {
    const outer = current;
    current = owner;
    work();
    drain();
    current = outer;
  };
  const standing = (owner: number): Standing => standings.get(owner) ?? 'alive';
  return {
    now: () => now,
    owner: () => current,
    as,
    standing,
    setStanding: (owner, next) => {
      standings.set(owner, next);
      const waiting = held.get(owner) ?? [];
      held.delete(owner);
      // the same ones, so that they can still be taken back
      if (next === 'alive')
        for (const happening of waiting) put(Object.assign(happening, { at: Math.max(now, happening.at), order: order++ }));
    },
    after: (ms, run, owner = current) => {
      const happening: Happening = { at: now + Math.max(0, ms), order: order++, owner, run, cancelled: false };
      put(happening);
      return () => {
        happening.cancelled = true;
      };
    },
    step: () => {
      const next = take();
      if (!next) return false;
      now = next.at;
      if (next.cancelled) return true;
      const how = standing(next.owner);
      if (how === 'stopped') held.set(next.owner, [...(held.get(next.owner) ?? []), next]);
      if (how !== 'alive') return true;
      steps++;
      as(next.owner, next.run);
      return true;
    },
    steps: () => steps,
  };
}
