import { quotaExceeded } from './quotaExceeded.ts';

export type RunQuota = {
  /**
   * Makes room for runs that are about to be accepted. At once while the workspace is far from its quota; near it they are counted.
   * @returns says that they have been accepted, or not: then their room is free again
   * @throws Problem quota_exceeded
   */
  hold: (workspace: string) => Promise<(accepted: boolean) => void>;
  forget: (workspace: string) => void;
};

type Deps = {
  now: () => number;
  maxOf: (workspace: string) => Promise<number>;
  /** Open runs as the database knows them, no further than asked for. */
  count: (workspace: string, upTo: number) => Promise<number>;
};

/** `counted` at some time, and what has been let in since: what is under way, and what was accepted after that count began. */
type Known = { max: number; counted: number; at: number; since: number; underWay: number; counting: Promise<void> | undefined };

/** Of the room that a count has found, what may be let in until the next one: other processes let in as much. */
const SHARE = 4;
const COUNTED_MS = 30_000;

/**
 * Open runs of workspaces, counted once for many submits. Processes that submit at once may pass the quota by what the others
 * have let in since this one has counted; a single one never does.
 */
export function createRunQuota(deps: Deps): RunQuota {
  const workspaces = new Map<string, Known>();
  const count = (workspace: string, known: Known): Promise<void> => {
    known.counting ??= recount(deps, workspace, known).finally(() => {
      known.counting = undefined;
    });
    return known.counting;
  };
  return {
    hold: async (workspace) => {
      const known = workspaces.get(workspace) ?? unknown();
      workspaces.set(workspace, known);
      if (isStale(known, deps.now())) await count(workspace, known);
      const used = known.counted + known.since + known.underWay;
      if (used + 1 > known.max) throw quotaExceeded('open_runs', { used, max: known.max });
      known.underWay += 1;
      return (accepted) => {
        known.underWay -= 1;
        if (accepted) known.since += 1;
      };
    },
    forget: (workspace) => {
      workspaces.delete(workspace);
    },
  };
}

const unknown = (): Known => ({ max: 0, counted: 0, at: -Infinity, since: 0, underWay: 0, counting: undefined });

const isStale = ({ max, counted, at, since, underWay }: Known, now: number): boolean =>
  now - at > COUNTED_MS || (since + underWay + 1) * SHARE > max - counted;

async function recount(deps: Deps, workspace: string, known: Known): Promise<void> {
  const { since } = known;
  const max = await deps.maxOf(workspace);
  const counted = await deps.count(workspace, max + 1);
  // what was accepted before the count began is in it; what was meanwhile may be, and counts twice rather than not at all
  Object.assign(known, { max, counted, at: deps.now(), since: known.since - since });
}
