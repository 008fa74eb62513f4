/** How long pure work may keep the event loop from turning: heartbeats, commits and other runs wait meanwhile. */
const MAX_TURN_MS = 20;

let turnBegan: number | undefined;

/**
 * Between two tasks of pure work: undefined if the event loop has turned within 20 ms, else resolves when it has. One
 * for the whole process, because promises alone never let the loop turn, however many segments are at work.
 */
export function breathe(): Promise<void> | undefined {
  const now = performance.now();
  if (turnBegan === undefined) {
    turnBegan = now;
    setImmediate(() => {
      turnBegan = undefined;
    });
  }
  return now - turnBegan < MAX_TURN_MS ? undefined : new Promise((turned) => setImmediate(turned));
}
