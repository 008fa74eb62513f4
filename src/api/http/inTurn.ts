/** Requests begun in one turn of the event loop: Node accepts one connection in a turn, so turns must not be long. */
const AT_ONCE = 32;
/** The same once the first of those that wait has done so for longer than a burst takes, ms: then turns must be short. */
const IN_CROWD = 4;
const BURST_MS = 100;

/**
 * Begins what it is given, in order and at once, but no more than a few in a turn of the event loop. Without it a thousand
 * clients that are answered in the same turn come back in the next: turns grow, and connections wait for a minute to be accepted.
 * @param begin told how long each has waited, ms
 * @param clock ms, of which only differences count
 */
export function inTurn<T>(begin: (item: T, waitedMs: number) => void, clock: () => number): (item: T) => void {
  const waiting: { item: T; since: number }[] = [];
  let begun = 0;
  let next: NodeJS.Immediate | undefined;
  const turn = () => {
    next = undefined;
    begun = 0;
    const now = clock();
    const most = now - (waiting[0]?.since ?? now) > BURST_MS ? IN_CROWD : AT_ONCE;
    for (const { item, since } of waiting.splice(0, most)) {
      begun += 1;
      begin(item, now - since);
    }
    if (begun > 0) next ??= setImmediate(turn);
  };
  return (item) => {
    next ??= setImmediate(turn);
    if (begun >= AT_ONCE || waiting.length > 0) waiting.push({ item, since: clock() });
    else {
      begun += 1;
      begin(item, 0);
    }
  };
}
