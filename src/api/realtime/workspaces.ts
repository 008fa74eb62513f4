import { findRuns, listRuns, workspaceHeads } from '../../db/repositories/runs.ts';
import type { Database } from '../../db/database.ts';
import type { Config } from '../../runtime/config.ts';
import type { Log } from '../deps.ts';
import { presentRun } from '../features/runs/present.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';

type Run = ReturnType<typeof presentRun>;

export type Workspaces = {
  /** The newest runs as they are now; what changes from here on is told by `onRuns` as long as the workspace is watched. */
  snapshot: (workspace: string) => Promise<Run[]>;
  /** @returns ends the watch */
  watch: (workspace: string) => () => void;
  onRuns: (listener: (workspace: string, runs: readonly Run[]) => void) => void;
};

/** How many runs a snapshot has, and how many are looked at when notices may have been lost. */
const NEWEST = 200;
/** Runs whose last state is remembered, per workspace, before those that are closed are forgotten. */
const REMEMBERED = 2_000;
const WINDOW_MS = 100;

type Known = { watchers: number; heads: Map<string, number>; open: Set<string> };

/** Latest states of a workspace's runs: no log; a run that changes often is told once per window. */
export function createWorkspaces(deps: { db: Database; feed: Feed; log: Log; config: Config }): Workspaces {
  const watched = new Map<string, Known>();
  const listeners: ((workspace: string, runs: readonly Run[]) => void)[] = [];
  const touched = new Set<string>();
  let suspect = false;

  const refresh = async (workspace: string, known: Known, hints: string[], all: boolean): Promise<void> => {
    const others = all ? [...hints, ...known.open] : hints;
    const heads = await workspaceHeads(deps.db, { workspace, newest: all ? NEWEST : 0, others });
    const changed = heads.filter((head) => head.last_seq > (known.heads.get(head.run) ?? 0)).map((head) => head.run);
    if (changed.length === 0) return;
    const rows = await findRuns(deps.db, { workspace, ids: changed });
    for (const row of rows) {
      known.heads.set(row.id, row.last_seq);
      if (row.finished === null) known.open.add(row.id);
      else known.open.delete(row.id);
    }
    if (known.heads.size > REMEMBERED)
      for (const run of [...known.heads.keys()].slice(0, REMEMBERED / 2)) if (!known.open.has(run)) known.heads.delete(run);
    const runs = rows.map((row) => presentRun(deps.config, row));
    for (const listener of listeners) listener(workspace, runs);
  };
  const look = coalesce(
    async () => {
      const hints = [...touched];
      const all = suspect;
      touched.clear();
      suspect = false;
      for (const [workspace, known] of watched) await refresh(workspace, known, hints, all);
      await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
    },
    (error) => {
      suspect = true;
      deps.log.warn({ err: error }, 'workspaces.failed');
    },
  );
  deps.feed.onChange((change) => {
    if (watched.size === 0) return;
    if (!change) suspect = true;
    for (const run of change ?? []) touched.add(run);
    look();
  });

  return {
    onRuns: (listener) => {
      listeners.push(listener);
    },
    snapshot: async (workspace) => {
      const filter = { workspace, status: [], labels: [], workflow: undefined, since: undefined };
      const rows = await listRuns(deps.db, filter, { before: undefined, limit: NEWEST });
      const known = watched.get(workspace);
      // what this snapshot shows may be older than what the others were told: tell it again
      for (const row of rows) if (known && row.last_seq < (known.heads.get(row.id) ?? 0)) known.heads.set(row.id, row.last_seq);
      for (const row of rows) if (known && !known.heads.has(row.id)) known.heads.set(row.id, row.last_seq);
      for (const row of rows) if (known && row.finished === null) known.open.add(row.id);
      return rows.map((row) => presentRun(deps.config, row));
    },
    watch: (workspace) => {
      const known = watched.get(workspace) ?? { watchers: 0, heads: new Map(), open: new Set() };
      known.watchers += 1;
      watched.set(workspace, known);
      return () => {
        known.watchers -= 1;
        if (known.watchers === 0) watched.delete(workspace);
      };
    },
  };
}
