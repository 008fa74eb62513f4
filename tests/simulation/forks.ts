import { createHash } from 'node:crypto';
import type { Forks, Seeds } from '../../src/db/forks.ts';
import type { Fork } from '../../src/domain/plan/fork.ts';
import { countedTasks, mainTasks } from '../../src/domain/plan/phases.ts';
import { planFork } from '../../src/domain/run/planFork.ts';
import { Problem } from '../../src/domain/problem.ts';
import { newest, type RunRows } from './database/tables.ts';
import type { Sample } from './definitions.ts';
import { Violation } from './watch.ts';
import type { World } from './world.ts';

type Forking = { world: World; forks: Forks; workspace: string; key: string; onForked: (run: string, fork: Forked) => void };
/** What was kept, and what of the fork the model knows. */
export type Forked = { source: string; kept: readonly number[] };

const AGAIN_MS = 200;
const LOOK_MS = 300;
const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Forks a run from some of its tasks once it has ended, as the api does it, and asks under one key until it is answered. */
export function forkOften(forking: Forking, source: string, sample: Sample): void {
  const { world } = forking;
  const rows = world.tables.runs.get(source);
  if (typeof rows?.state.finished !== 'number')
    return void world.clock.after(
      LOOK_MS,
      () => {
        forkOften(forking, source, sample);
      },
      0,
    );
  const { plan } = sample;
  const ended = new Map(newest(rows, null).map(({ task, status }) => [task, status]));
  const from = Array.from({ length: mainTasks(plan.graph) }, (_, task) => task).filter(() => world.random() < 0.25);
  const fork = planFork({ plan, input: null, ended }, { plan, edited: false, input: null, inputGiven: false, from, given: new Set() });
  world.trace(`a client forks ${source} from ${from.join()}`);
  ask(forking, { source, sample, fork, seeds: seedsOf(rows, fork) });
}

function seedsOf(rows: RunRows, fork: Fork): Seeds {
  const order = new Map(newest(rows, null).map(({ task, seq }) => [task, seq]));
  const same = (tasks: readonly number[]) => tasks.map((task) => ({ task, source: task }));
  return {
    source: rows.state.run,
    seq: rows.state.lastSeq,
    kept: same([...fork.kept].sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))),
    keepItems: same(fork.keepItems),
    given: [],
    note: '{}',
  };
}

type Asking = { source: string; sample: Sample; fork: Fork; seeds: Seeds };

function ask(forking: Forking, asking: Asking): void {
  const { world, forks, workspace, key, onForked } = forking;
  const { source, sample, fork, seeds } = asking;
  const of = { workspace, principal: 'key:1', key, requestHash: hash(key), definition: 'sample', priority: 0, labels: {}, artifacts: [] };
  const plan = { hash: hash(sample.body), body: sample.body };
  const deadline = sample.plan.deadlineMs === undefined ? {} : { deadlineMs: sample.plan.deadlineMs };
  forks.forkRun({ ...of, ...deadline, plan, tasks: countedTasks(sample.plan.graph), createdBy: 'key:1' }, seeds).then(
    ({ outcome, runId }) => {
      if (outcome === 'conflict') throw new Violation(`fork ${key} was answered conflict`);
      onForked(runId, { source, kept: fork.kept });
    },
    (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      if (error.code === 'state_conflict') onForked('', { source, kept: [] });
      else
        world.clock.after(
          AGAIN_MS,
          () => {
            ask(forking, asking);
          },
          0,
        );
    },
  );
}

/** What is kept comes first, ends as in the source, and never begins. */
export function checkFork({ tables }: World, run: string, { source, kept }: Forked): void {
  const rows = tables.runs.get(run);
  const began = rows?.events.findIndex(({ type }) => type === 'run.started') ?? -1;
  for (const { seq, type, task, data } of rows?.events ?? []) {
    const isKept = data?.includes(`"from":"${source}"`) === true && task !== null;
    if (isKept && began >= 0 && seq > began + 1) throw new Violation(`event ${seq} of the fork ${run}, ${type}, came after its beginning`);
    const hasReopened = rows?.events.some((event) => event.type === 'run.reopened') === true;
    if (task !== null && kept.includes(task) && !hasReopened && (type === 'task.started' || type === 'task.waiting'))
      throw new Violation(`task ${task} was done in ${source} and began again in the fork ${run}`);
  }
}
