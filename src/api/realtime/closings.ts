import { findClosedRuns, type ClosedRun } from '../../db/repositories/runs.ts';
import type { Database } from '../../db/database.ts';
import type { Log } from '../log.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';

/** How long to wait for a run: `ms`, and until `gone` fires. */
type Patience = { ms: number; gone: AbortSignal };

export type Closings = {
  /**
   * The run, as soon as it is closed; undefined when it has not been in time. Whoever has not read the run after this call
   * asks to `look`: it may have ended before.
   */
  whenClosed: (run: string, patience: Patience & { look: boolean }) => Promise<ClosedRun | undefined>;
};

type Tell = (closed: ClosedRun) => void;

/** Waits for the ends of runs: short ones are told with their notice, all others that ended in a burst of changes are read with one query. */
export function createClosings(deps: { db: Database; feed: Feed; log: Log }): Closings {
  const waiting = new Map<string, Set<Tell>>();
  const touched = new Set<string>();
  const told = (closed: ClosedRun) => {
    for (const tell of waiting.get(closed.id) ?? []) tell(closed);
  };
  const look = coalesce(
    async () => {
      const runs = [...touched].filter((run) => waiting.has(run));
      touched.clear();
      if (runs.length === 0) return;
      for (const closed of await findClosedRuns(deps.db, runs)) told(closed);
    },
    (error) => {
      deps.log.warn({ err: error }, 'closings.failed'); // the next poll looks again
    },
  );
  deps.feed.onEnd((run, read) => {
    if (waiting.has(run)) told(read());
  });
  deps.feed.onChange((change) => {
    for (const run of change ?? waiting.keys()) if (waiting.has(run)) touched.add(run);
    if (touched.size > 0) look();
  });
  return {
    whenClosed: (run, patience) =>
      new Promise((resolve) => {
        const { gone, ms } = patience;
        if (gone.aborted || ms <= 0) {
          resolve(undefined);
          return;
        }
        const tellers = waiting.get(run) ?? new Set();
        const end = (closed: ClosedRun | undefined) => {
          gone.removeEventListener('abort', leave);
          clearTimeout(timer);
          tellers.delete(end);
          if (tellers.size === 0 && waiting.get(run) === tellers) waiting.delete(run);
          resolve(closed);
        };
        const leave = () => {
          end(undefined);
        };
        const timer = setTimeout(leave, ms);
        gone.addEventListener('abort', leave);
        waiting.set(run, tellers.add(end));
        if (!patience.look) return;
        touched.add(run);
        look();
      }),
  };
}
