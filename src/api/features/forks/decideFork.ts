import type { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import { child } from '../../../domain/definition/pointer.ts';
import type { Json } from '../../../domain/json.ts';
import type { Fork } from '../../../domain/plan/fork.ts';
import type { TaskStatus } from '../../../domain/plan/outcome.ts';
import { countedTasks, mainTasks } from '../../../domain/plan/phases.ts';
import type { Plan } from '../../../domain/plan/plan.ts';
import { invalidRequest } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { mayTakeInput, planFork } from '../../../domain/run/planFork.ts';
import { priorityName } from '../../../domain/run/priority.ts';
import { readFacts, readStanding, readTaskRows } from '../../../db/execution.ts';
import type { RunRow } from '../../../db/repositories/runs.ts';
import type { Submit } from '../../../db/submit.ts';
import type { Deps } from '../../deps.ts';
import { checkByHand } from '../../runs/outputByHand.ts';
import { resolvePlan } from '../../runs/resolvePlan.ts';
import type { ForkRun } from './schemas.ts';
import { prepareSubmit } from '../../runs/startRun.ts';

export type ForkBody = NonNullable<z.output<typeof ForkRun>>;
export type ForkCall = { deps: Deps; actor: Actor; resource: RunRow };

/** A fork, decided and checked; of a source that is open nothing can be decided. */
type Asked = { submit: Omit<Submit, 'runId' | 'key'>; plan: Plan };
export type Decided = Asked & {
  fork: Fork;
  source: {
    plan: Plan;
    /** Number of its last event. */
    seq: number;
    /** By the index of tasks in its plan. */
    ended: ReadonlyMap<number, TaskStatus>;
    /** Numbers of the events that ended them. */
    order: ReadonlyMap<number, number>;
  };
};

export const isDecided = (fork: Asked | Decided): fork is Decided => 'fork' in fork;

/** Why nothing is decided. */
export const sourceIsOpen = (): Problem =>
  new Problem('state_conflict', { detail: 'the run is open: a fork is made of one that has ended' });

/**
 * What a fork of a closed run is to be. Nothing is written.
 * @throws Problem invalid_request, invalid_task_output and those of a start
 */
export async function decideFork({ deps, actor, resource }: ForkCall, body: ForkBody): Promise<Asked | Decided> {
  const standing = await readStanding(deps.db, resource.id);
  const facts = await readFacts(deps.db, resource.id);
  if (!standing || !facts) throw new Problem('not_found');
  const rows = await readTaskRows(deps.db, resource.id);
  const { plan: sourcePlan } = await deps.plans.get(resource.plan);
  const resolved = await resolvePlan(deps, sourceOf(actor, resource, body));
  const { plan } = resolved;
  const edited = resolved.hash.toString('hex') !== resource.plan;
  if (edited && body.input === undefined && !mayTakeInput(sourcePlan))
    throw refusal([{ pointer: '/input', message: 'is marked in part, so that another definition does not get it: give it anew' }]);
  const places = placesIn(plan, body);
  const submit = await prepareSubmit(deps, actor, {
    ...startOf(resource, body),
    ...{ input: body.input ?? facts.input, place: resource, resolved },
  });
  if (standing.status === 'open') return { submit, plan };
  const ended = new Map(rows.map(([task, status]) => [task, status]));
  const fork = planFork(
    { plan: sourcePlan, input: facts.input, ended },
    { plan, edited, inputGiven: body.input !== undefined, input: JSON.parse(submit.input ?? 'null') as Json, ...places },
  );
  const order = new Map(rows.map(([task, , seq]) => [task, seq]));
  return { submit, plan, fork, source: { plan: sourcePlan, seq: standing.lastSeq, ended, order } };
}

function sourceOf({ workspace }: Actor, run: RunRow, { definition, workflow }: ForkBody) {
  if (definition !== undefined) return { definition };
  return workflow ? { workspace, name: workflow.name, version: workflow.version } : { run };
}

/** How it is to be started: as the source was, unless something is said of it; with another definition as that says. */
function startOf(run: RunRow, body: ForkBody) {
  const { definition, workflow, from, input, outputs, labels, priority, mode, reason } = body;
  const same = definition === undefined && workflow === undefined;
  const inherited = Object.fromEntries(Object.entries(run.labels ?? {}).map(([name, value]) => [name, value as string])); // as rows of runs have them
  return {
    labels: labels ?? (same ? inherited : undefined),
    priority: priority ?? (same ? priorityName(run.priority) : undefined),
    mode: mode ?? (same ? run.mode : undefined),
    fingerprint: { fork: run.id, workflow, from, input, outputs, labels, priority, mode, reason },
  };
}

type Fault = { pointer: string; message: string };

const refusal = (faults: readonly Fault[]): Problem => invalidRequest(faults.map((fault) => ({ ...fault, code: 'invalid_value' })));

/** The tasks that a fork names, by their index. @throws Problem invalid_request with all faults, invalid_task_output */
function placesIn(plan: Plan, { from = [], outputs = {} }: ForkBody): { from: number[]; given: Set<number> } {
  const index = new Map(plan.graph.names.map((name, task) => [name, task]));
  const faults = [
    ...from.flatMap((id, i): Fault[] => {
      const fault = faultOfFrom(plan, id, index.get(id));
      return fault === undefined ? [] : [{ pointer: `/from/${i}`, message: fault }];
    }),
    ...Object.keys(outputs).flatMap((id): Fault[] => {
      const fault = from.includes(id) ? 'is to run again and cannot be given an output' : faultOfGiven(plan, id, index.get(id));
      return fault === undefined ? [] : [{ pointer: child('/outputs', id), message: fault }];
    }),
  ];
  if (faults.length > 0) throw refusal(faults);
  for (const [id, value] of Object.entries(outputs)) checkByHand(plan.tasks[index.get(id) ?? -1], value as Json, { item: false });
  const placeOf = (id: string): number => index.get(id) ?? -1;
  return { from: from.map(placeOf), given: new Set(Object.keys(outputs).map(placeOf)) };
}

function faultOfFrom({ graph }: Plan, id: string, task: number | undefined): string | undefined {
  if (task === undefined) return `the run has no task ${id}`;
  return task < countedTasks(graph) ? undefined : `${id} is a compensation: those run when they are needed`;
}

function faultOfGiven({ graph, tasks }: Plan, id: string, task: number | undefined): string | undefined {
  if (task === undefined) return `the run has no task ${id}`;
  if (task >= mainTasks(graph)) return `${id} runs when the others have settled, and cannot be given an output`;
  if (tasks[task]?.map) return 'the output of a mapped task is that of its items';
  return tasks[task]?.kind === 'switch' ? 'the output of a switch is the branch that it takes' : undefined;
}
