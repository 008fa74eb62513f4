import { estimate, MIN_RUNS, type Past, type RunNow, type TaskNow } from '../../domain/run/estimate.ts';
import { isClosed, type RunStatus } from '../../domain/plan/outcome.ts';
import type { Plan } from '../../domain/plan/plan.ts';
import { Problem } from '../../domain/problem.ts';
import { percentOf, weightOf } from '../../domain/run/percent.ts';
import { pastRuns, readMoment, readShares, type Moment, type Shares } from '../../db/repositories/progress.ts';
import type { RunRow } from '../../db/repositories/runs.ts';
import type { Deps } from '../deps.ts';
import { iso } from '../time.ts';

type ProgressDeps = Pick<Deps, 'db' | 'plans' | 'config' | 'clock'>;

/** Tasks at work that are named. */
const NAMED = 20;

/** Percentage of a run: no query before anything has become of it and once it has completed, otherwise one and its plan. */
export async function readPercent(deps: Pick<Deps, 'db' | 'plans'>, run: RunRow): Promise<number> {
  if (run.last_seq === 1 || run.status === 'completed') return percentOf(run.status, []);
  const { plan } = await deps.plans.get(run.plan);
  return percentFrom(plan, run.status, await readShares(deps.db, { run: run.id, mapped: mappedIn(plan) }));
}

const mappedIn = (plan: Plan): number[] => plan.tasks.flatMap(({ map }, i) => (map ? [i] : []));

function percentFrom(plan: Plan, status: RunStatus, { done, maps }: Pick<Shares, 'done' | 'maps'>): number {
  const isDone = new Set(done);
  const items = new Map(maps.map((share) => [share.task, share]));
  const shares = plan.tasks.map((_, i) => ({
    weight: weightOf(plan, i),
    status: isDone.has(i) ? 'completed' : 'pending',
    items: items.get(i),
  }));
  return percentOf(status, shares);
}

/** How far a run is, when it will end and what decides that. Two queries: all of the run as of one moment, and earlier runs. @throws Problem not_found */
export async function readProgress(deps: ProgressDeps, of: RunRow) {
  const { plan } = await deps.plans.get(of.plan);
  const [moment, past] = await Promise.all([readMoment(deps.db, { run: of.id, mapped: mappedIn(plan) }), readPast(deps, of, plan)]);
  if (!moment) throw new Problem('not_found');
  const run = { id: of.id, ...moment };
  const byTask = new Map(run.tasks.map((row) => [row.task, row]));
  const now: RunNow = {
    state: run.started === null ? 'queued' : isClosed(run.status) ? 'closed' : 'open',
    now: deps.clock(),
    tasks: plan.tasks.map((_, i) => taskNow(byTask.get(i))),
  };
  const { remaining, path } = estimate(plan.graph, isClosed(run.status) ? { ...now, state: 'closed' } : now, past);
  const nameOf = (task: number): string => plan.graph.names[task] ?? '';
  const at = (ms: number): string => iso(new Date(now.now + ms));
  return {
    runId: run.id,
    status: run.status,
    percent: percentFrom(plan, run.status, run),
    retries: run.retries,
    tasks: { total: run.total, done: run.done.length, open: run.open },
    atWork: run.tasks
      .filter(({ finished }) => finished === null)
      .map(({ task }) => nameOf(task))
      .slice(0, NAMED),
    startedAt: run.started === null ? null : iso(new Date(run.started)),
    estimate:
      typeof remaining === 'string'
        ? null
        : { endsAt: at(remaining.ms), earliestAt: at(remaining.low), latestAt: at(remaining.high), runs: remaining.runs },
    noEstimate: typeof remaining === 'string' ? remaining : null,
    criticalPath: path.map(({ task, took, expected }) => ({
      task: nameOf(task),
      status: now.tasks[task]?.status ?? 'pending',
      tookMs: took ?? null,
      expected: expected ? { ms: expected.ms, lowMs: expected.low, highMs: expected.high } : null,
    })),
  };
}

const taskNow = (row: Moment['tasks'][number] | undefined): TaskNow => ({
  status: row?.status ?? 'pending',
  started: row?.started ?? undefined,
  finished: row?.finished ?? undefined,
});

/** Durations of earlier runs by the tasks of this plan: other versions of a definition count where the ids of their tasks are the same. */
async function readPast({ db, plans, config }: ProgressDeps, run: RunRow, plan: Plan): Promise<Past[]> {
  const { workspace, definition, id } = run;
  const runs = Math.max(MIN_RUNS, Math.min(config.TIU_ESTIMATE_RUNS, Math.floor(config.TIU_ESTIMATE_TASKS / plan.tasks.length)));
  const rows = await pastRuns(db, { workspace, definition, before: id, runs });
  return Promise.all(
    rows.map(async ({ plan: hash, tasks, ms }) => {
      const { names } = hash === run.plan ? plan.graph : (await plans.get(hash)).plan.graph;
      const took = new Map(tasks.map((task, i) => [names[task] ?? '', ms[i]]));
      return plan.graph.names.map((name) => took.get(name));
    }),
  );
}
