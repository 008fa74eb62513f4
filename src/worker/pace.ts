import { createTurns, type Turns } from '../domain/turns.ts';
import type { Clock } from '../runtime/clock.ts';

/** When rounds of admission come: a few at once, then apart, so that more runs are begun and recorded together. */
export type Pace = {
  /** Resolves when the next round may come. */
  next: () => Promise<void>;
  /** How many runs a round found that had room for more. */
  found: (runs: number) => void;
  /** Somebody waits for a queued run: for a while rounds come as they are asked for. */
  awaited: () => void;
};

/** A round costs the database as much as a run does, and so does what records its runs. */
const ROUNDS = 4;
/** Rounds that find several runs are so far apart, ms: these come on each other's heels anyway. */
const SEVERAL_MS = 10;
/** While nobody is known to wait, all that find any are so far apart, ms. */
const CALM_MS = 25;
/** How long it is remembered that somebody waited, ms. */
const AWAITED_MS = 200;

export function createPace(clock: Clock): Pace {
  const several = createTurns(clock, { burst: ROUNDS, everyMs: SEVERAL_MS });
  const calm = createTurns(clock, { burst: ROUNDS, everyMs: CALM_MS });
  let awaitedUntil = -Infinity;
  let wake: () => void = () => undefined;
  const isCalm = () => clock.now() >= awaitedUntil;
  const untilNext = () => Math.max(several.untilNext(), isCalm() ? calm.untilNext() : 0);
  return {
    next: async () => {
      for (let ms = untilNext(); ms > 0; ms = untilNext()) await sleep(ms, (now) => (wake = now));
    },
    found: (runs) => {
      const taken: Turns[] = [...(runs > 1 ? [several] : []), ...(runs > 0 && isCalm() ? [calm] : [])];
      for (const turns of taken) turns.take();
    },
    awaited: () => {
      awaitedUntil = clock.now() + AWAITED_MS;
      wake();
    },
  };
}

function sleep(ms: number, onStart: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    onStart(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
