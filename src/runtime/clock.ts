/** Time is passed in, so that rules can be tested without waiting. */
export type Clock = {
  /** Milliseconds since the epoch. */
  now: () => number;
};

export const systemClock: Clock = { now: () => Date.now() };
