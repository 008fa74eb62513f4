export type Turns = {
  /** ms until the next one may be taken; 0: now. */
  untilNext: () => number;
  take: () => void;
};

/** So many at once, then one every interval (a token bucket). */
export function createTurns(clock: { now: () => number }, options: { burst: number; everyMs: number }): Turns {
  const { burst, everyMs } = options;
  let credit = burst;
  let last = clock.now();
  return {
    untilNext: () => {
      const now = clock.now();
      credit = Math.min(burst, credit + Math.max(0, now - last) / everyMs); // a clock may be set back
      last = now;
      return credit >= 1 ? 0 : (1 - credit) * everyMs;
    },
    take: () => {
      credit -= 1;
    },
  };
}
