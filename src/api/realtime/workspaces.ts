import { findRuns, listRuns, workspaceHeads, type RunRow } from '../../db/repositories/runs.ts';
import type { Database } from '../../db/database.ts';
import type { Config } from '../../runtime/config.ts';
import type { Log } from '../log.ts';
import { presentRun } from '../runs/present.ts';
import { coalesce } from './coalesce.ts';
import type { Feed } from './feed.ts';

type Run = ReturnType<typeof presentRun>;

export type Workspaces = {
  /** The newest runs as they are now, of all or of a project by its name; what changes from here on is told by `onRuns` as long as the workspace is watched. */
  snapshot: (workspace: string, project?: string) => Promise<Run[]>;
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

  const refresh = async (known: Known, scope: { workspace: string; newest: number; others: string[] }): Promise<void> => {
    const rows = await changedRuns(deps.db, known, scope);
    for (const row of rows) remember(known, row);
    forget(known);
    const runs = rows.map((row) => presentRun(deps.config, row));
    if (runs.length > 0) for (const listener of listeners) listener(scope.workspace, runs);
  };
  const look = coalesce(
    async () => {
      const hints = [...touched];
      const all = suspect;
      touched.clear();
      suspect = false;
      for (const [workspace, known] of watched)
        await refresh(known, { workspace, newest: all ? NEWEST : 0, others: all ? [...hints, ...known.open] : hints });
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
    snapshot: async (workspace, project) => {
      const filter = { workspace, status: [], labels: [], workflow: undefined, since: undefined, project };
      const rows = await listRuns(deps.db, filter, { before: undefined, limit: NEWEST });
      const known = watched.get(workspace);
      // what this snapshot shows may be older than what the others were told: then it is told again
      for (const row of rows) if (known) remember(known, row);
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

async function changedRuns(db: Database, known: Known, scope: { workspace: string; newest: number; others: string[] }): Promise<RunRow[]> {
  const heads = await workspaceHeads(db, scope);
  const ids = heads.filter((head) => head.last_seq > (known.heads.get(head.run) ?? 0)).map((head) => head.run);
  return ids.length === 0 ? [] : findRuns(db, { workspace: scope.workspace, ids });
}

function remember(known: Known, row: RunRow): void {
  known.heads.set(row.id, row.last_seq);
  if (row.finished === null) known.open.add(row.id);
  else known.open.delete(row.id);
}

function forget({ heads, open }: Known): void {
  if (heads.size <= REMEMBERED) return;
  const oldest = [...heads.keys()].slice(0, REMEMBERED / 2);
  for (const run of oldest) if (!open.has(run)) heads.delete(run);
}
