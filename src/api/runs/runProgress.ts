import { estimate, MIN_RUNS, type Past, type RunNow, type TaskNow } from '../../domain/run/estimate.ts';
import { isClosed } from '../../domain/plan/outcome.ts';
import type { Plan } from '../../domain/plan/plan.ts';
import { percentOf, weightOf } from '../../domain/run/percent.ts';
import { pastRuns, readShares, type Shares } from '../../db/repositories/progress.ts';
import { listTasks, type RunRow, type TaskRow } from '../../db/repositories/runs.ts';
import type { Deps } from '../deps.ts';
import { iso, maybeIso } from '../time.ts';

type ProgressDeps = Pick<Deps, 'db' | 'plans' | 'config' | 'clock'>;

/** Tasks at work that are named. */
const NAMED = 20;

/** Percentage of a run: no query before anything has become of it and once it has completed, otherwise one and its plan. */
export async function readPercent(deps: Pick<Deps, 'db' | 'plans'>, run: RunRow): Promise<number> {
  if (run.last_seq === 1 || run.status === 'completed') return percentOf(run.status, []);
  const { plan } = await deps.plans.get(run.plan);
  return percentFrom(plan, run, await readShares(deps.db, { run: run.id, mapped: mappedIn(plan) }));
}

const mappedIn = (plan: Plan): number[] => plan.tasks.flatMap(({ map }, i) => (map ? [i] : []));

function percentFrom(plan: Plan, run: RunRow, { done, maps }: Shares): number {
  const isDone = new Set(done);
  const items = new Map(maps.map((share) => [share.task, share]));
  const shares = plan.tasks.map((_, i) => ({
    weight: weightOf(plan, i),
    status: isDone.has(i) ? 'completed' : 'pending',
    items: items.get(i),
  }));
  return percentOf(run.status, shares);
}

/** How far a run is, when it will end and what decides that. Four queries at most: the run, its tasks, its shares, earlier runs. */
export async function readProgress(deps: ProgressDeps, run: RunRow) {
  const { plan } = await deps.plans.get(run.plan);
  const [rows, shares, past] = await Promise.all([
    listTasks(deps.db, run.id),
    readShares(deps.db, { run: run.id, mapped: mappedIn(plan) }),
    readPast(deps, run, plan),
  ]);
  const byTask = new Map(rows.map((row) => [row.task, row]));
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
    percent: percentFrom(plan, run, shares),
    retries: shares.retries,
    tasks: { total: run.total, done: shares.done.length, open: run.open },
    atWork: rows
      .filter(({ finished }) => finished === null)
      .map(({ task }) => nameOf(task))
      .slice(0, NAMED),
    startedAt: maybeIso(run.started),
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

const timeOf = (at: string | null | undefined): number | undefined => (at == null ? undefined : new Date(at).getTime());

const taskNow = (row: TaskRow | undefined): TaskNow => ({
  status: row?.status ?? 'pending',
  started: timeOf(row?.started),
  finished: timeOf(row?.finished),
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
