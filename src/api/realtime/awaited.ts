import type { Untouched } from './untouched.ts';

/** How long whoever waits for a run gives it to begin, and how far apart they say so, ms. Workers remember it for longer. */
const PATIENCE_MS = 5;
const APART_MS = 50;

/**
 * For those who wait for a run that was queued when they came: workers that begin runs in groups begin it at once. Most runs
 * have begun before there is anything to say.
 * @param deps.tell says that somebody waits, not for which run
 */
export function createAwaited(deps: { untouched: Pick<Untouched, 'get'>; tell: () => void }): (run: string) => void {
  let told = -Infinity;
  return (run) => {
    const isKnown = deps.untouched.get(run) !== undefined;
    setTimeout(() => {
      if ((isKnown && !deps.untouched.get(run)) || performance.now() - told < APART_MS) return;
      told = performance.now();
      deps.tell();
    }, PATIENCE_MS).unref();
  };
}
