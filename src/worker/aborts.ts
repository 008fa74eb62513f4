import type { Halt } from '../activities/deps.ts';
import { haltsOf } from '../db/dispatch.ts';
import type { Database } from '../db/database.ts';

export type Aborts = {
  /** Calls `listener` when the run is to stop, or other tasks are held. @returns removes it */
  add: (runId: string, listener: (news: Halt) => void) => () => void;
};

export type AbortWatch = Aborts & {
  /** Reads what the given runs, or all that somebody listens for, were asked, and tells the listeners what is new. */
  look: (runs?: readonly string[]) => Promise<void>;
};

const NOTHING = JSON.stringify({ stop: null, held: [] } satisfies Halt);

/** How work in this process learns within milliseconds that its run is to stop. */
export function createAborts(deps: { db: Pick<Database, 'rows'> }): AbortWatch {
  const listeners = new Map<string, Map<(news: Halt) => void, string>>();
  const tell = (runId: string, news: Halt) => {
    const text = JSON.stringify(news);
    const of = listeners.get(runId);
    for (const [listener, told] of of ?? []) {
      if (told === text) continue;
      of?.set(listener, text);
      listener(news);
    }
  };
  return {
    add: (runId, listener) => {
      const of = listeners.get(runId) ?? new Map<(news: Halt) => void, string>();
      listeners.set(runId, of.set(listener, NOTHING));
      return () => {
        of.delete(listener);
        if (of.size === 0 && listeners.get(runId) === of) listeners.delete(runId);
      };
    },
    look: async (runs) => {
      const watched = runs ? runs.filter((runId) => listeners.has(runId)) : [...listeners.keys()];
      if (watched.length === 0) return;
      const halts = new Map((await haltsOf(deps.db, watched)).map(({ run, ...halt }) => [run, halt]));
      for (const run of watched) tell(run, halts.get(run) ?? { stop: null, held: [] });
    },
  };
}
