import { runHeads } from '../../db/repositories/runs.ts';
import type { Database } from '../../db/database.ts';
import type { Log } from '../log.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';

export type Closings = {
  /** True as soon as the run is closed, false when `signal` fires first. */
  whenClosed: (run: string, signal: AbortSignal) => Promise<boolean>;
};

/** Waits for the ends of runs, all of them with one query per burst of changes. */
export function createClosings(deps: { db: Database; feed: Feed; log: Log }): Closings {
  const waiting = new Map<string, Set<() => void>>();
  const touched = new Set<string>();
  const look = coalesce(
    async () => {
      const runs = [...touched].filter((run) => waiting.has(run));
      touched.clear();
      if (runs.length === 0) return;
      for (const { run, closed } of await runHeads(deps.db, runs)) if (closed) for (const tell of waiting.get(run) ?? []) tell();
    },
    (error) => {
      deps.log.warn({ err: error }, 'closings.failed'); // the next poll looks again
    },
  );
  deps.feed.onChange((change) => {
    for (const run of change ?? waiting.keys()) if (waiting.has(run)) touched.add(run);
    if (touched.size > 0) look();
  });
  return {
    whenClosed: (run, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) {
          resolve(false);
          return;
        }
        const tellers = waiting.get(run) ?? new Set();
        const end = (closed: boolean) => {
          signal.removeEventListener('abort', leave);
          tellers.delete(tell);
          if (tellers.size === 0) waiting.delete(run);
          resolve(closed);
        };
        const tell = () => {
          end(true);
        };
        const leave = () => {
          end(false);
        };
        signal.addEventListener('abort', leave);
        waiting.set(run, tellers.add(tell));
        touched.add(run); // it may have ended before anybody listened
        look();
      }),
  };
}
