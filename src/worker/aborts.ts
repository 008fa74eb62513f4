import { intentsOf } from '../db/dispatch.ts';
import type { Database } from '../db/database.ts';
import type { Intent } from '../domain/plan/state.ts';

export type Aborts = {
  /** Calls `listener` when the run is to stop. @returns removes it */
  add: (runId: string, listener: (intent: Intent) => void) => () => void;
};

export type AbortWatch = Aborts & {
  /** Reads the intents of the given runs, or of all that somebody listens for, and tells the listeners of new ones. */
  look: (runs?: readonly string[]) => Promise<void>;
};

/** How work in this process learns within milliseconds that its run is to stop. */
export function createAborts(deps: { db: Pick<Database, 'rows'> }): AbortWatch {
  const listeners = new Map<string, Map<(intent: Intent) => void, Intent | undefined>>();
  const tell = (runId: string, intent: Intent) => {
    const of = listeners.get(runId);
    for (const [listener, told] of of ?? []) {
      if (told === intent) continue;
      of?.set(listener, intent);
      listener(intent);
    }
  };
  return {
    add: (runId, listener) => {
      const of = listeners.get(runId) ?? new Map<(intent: Intent) => void, Intent | undefined>();
      listeners.set(runId, of.set(listener, undefined));
      return () => {
        of.delete(listener);
        if (of.size === 0 && listeners.get(runId) === of) listeners.delete(runId);
      };
    },
    look: async (runs) => {
      const watched = runs ? runs.filter((runId) => listeners.has(runId)) : [...listeners.keys()];
      if (watched.length === 0) return;
      for (const { run, intent } of await intentsOf(deps.db, watched)) tell(run, intent as Intent);
    },
  };
}
