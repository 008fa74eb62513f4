import type { Action } from '../../../domain/access/actions.ts';
import type { Json } from '../../../domain/json.ts';
import { countedTasks, mainTasks } from '../../../domain/plan/phases.ts';
import { createState, dependantsOf } from '../../../domain/plan/state.ts';
import { Problem, type ProblemCode } from '../../../domain/problem.ts';
import type { Order } from '../../../db/commands.ts';
import { retryOrder } from '../../../db/retryOrder.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { commanded, commandRun, type Commanding } from '../../runs/commandRun.ts';
import { checkByHand, storeByHand } from '../../runs/outputByHand.ts';
import { etagOf } from '../../runs/present.ts';
import { loadRun, planOf, presentView, taskOf } from '../../runs/readRun.ts';
import { CancelRun, Run, runParams } from '../../runs/schemas.ts';
import { CompleteTask, itemParams, PauseRun, RetryRun, SkipTask, taskParams } from './schemas.ts';

/** Gives the command, and answers with the run as it stands then. */
async function give(call: Commanding, order: Order, reason: string | undefined): Promise<Reply> {
  const run = await commandRun(call, order, reason);
  return { status: 202, body: await presentView(call.deps, run), headers: { location: `/api/v1/runs/${run.id}`, etag: etagOf(run) } };
}

/** What every command has in common. */
const command = <A extends Action, P extends ProblemCode>(action: A, path: string, problems: readonly P[] = []) => ({
  ...({ method: 'post', path: `/api/v1/runs/{id}${path}`, action, cost: 'write', tag: 'runs', idempotency: 'stored' } as const),
  responses: commanded(Run),
  problems: ['state_conflict', 'idempotency_mismatch', 'idempotency_in_progress', 'unavailable', ...problems] as const,
  load: loadRun,
});

const cancel = defineRoute({
  ...command('run.cancel', '/cancel', ['run_already_closed']),
  summary: 'Ask a run to end; a second time forces it',
  request: { params: runParams, query: noQuery, body: { schema: CancelRun } },
  handler: (call) => give(call, { type: 'cancel', force: call.body?.force ?? false }, call.body?.reason),
});

/** Tasks of a run by their ids, with all that depends on them if asked. @throws Problem not_found */
async function tasksOf({ deps, resource }: Commanding, ids: readonly string[], branch: boolean) {
  const { graph } = await planOf(deps, resource);
  const own = await Promise.all(ids.map(async (id) => (await taskOf(deps, resource, id)).index));
  const indexes = [...new Set(branch ? own.flatMap((task) => [task, ...dependantsOf(createState(graph), task)]) : own)].sort(
    (a, b) => a - b,
  );
  return { indexes, names: indexes.map((task) => graph.names[task] ?? '') };
}

const hold = (type: 'pause' | 'resume', summary: string) =>
  defineRoute({
    ...command('run.pause', `/${type}`, ['run_already_closed', 'not_found']),
    summary,
    request: { params: runParams, query: noQuery, body: { schema: PauseRun } },
    handler: async (call) => {
      const { tasks, branch = false, reason } = call.body ?? {};
      return give(call, { type, ...(tasks && { tasks: await tasksOf(call, tasks, branch) }) }, reason);
    },
  });

const pause = hold('pause', 'Begin nothing new in a run, or none of some tasks; what is at work comes to its end, and waits go on');
const resume = hold('resume', 'Go on with what was paused; without tasks, with everything');

const retry = defineRoute({
  ...command('run.retry', '/retry', ['not_found']),
  summary: 'Open a run that did not complete again: what failed, and what depends on it, runs in a new generation; what completed stays',
  request: { params: runParams, query: noQuery, body: { schema: RetryRun } },
  handler: async (call) => {
    const { deps, resource, body } = call;
    const { graph } = await planOf(deps, resource);
    const chosen = body?.tasks && (await Promise.all(body.tasks.map(async (id) => (await taskOf(deps, resource, id)).index)));
    return give(call, await retryOrder(deps.db, { id: resource.id, graph }, chosen), body?.reason);
  },
});

/** The place of a task that somebody settles by hand. @throws Problem not_found, invalid_request */
async function placeOf({ deps, resource }: Commanding, id: string, item: number | undefined) {
  const { plan, index } = await taskOf(deps, resource, id);
  if (index >= countedTasks(plan.graph)) throw new Problem('not_found', { detail: `${id} is a compensation` });
  if (item !== undefined && !plan.tasks[index]?.map) throw new Problem('not_found', { detail: `${id} has no items` });
  return { plan, place: { task: index, main: mainTasks(plan.graph), item: item ?? -1 } };
}

type Settling = Commanding & { params: { task: string; item?: number } };

async function skip(call: Settling & { body?: { reason?: string | undefined } | undefined }): Promise<Reply> {
  const { place } = await placeOf(call, call.params.task, call.params.item);
  return give(call, { type: 'skip', ...place }, call.body?.reason);
}

async function complete(call: Settling & { body: { reason?: string | undefined; output?: unknown } }): Promise<Reply> {
  const { plan, place } = await placeOf(call, call.params.task, call.params.item);
  const value = call.body.output as Json;
  checkByHand(plan.tasks[place.task], value, { item: place.item >= 0 });
  const output = await storeByHand(call.deps, call.actor.workspace, value);
  return give(call, { type: 'complete', ...place, output }, call.body.reason);
}

const settled = <P extends ProblemCode>(path: string, problems: readonly P[] = []) =>
  command('run.settle', path, ['run_already_closed', 'not_found', ...problems] as const);

const skipTask = defineRoute({
  ...settled('/tasks/{task}/skip'),
  summary: 'Settle a task by hand as skipped; an attempt at work is ended',
  request: { params: taskParams, query: noQuery, body: { schema: SkipTask } },
  handler: skip,
});

const skipItem = defineRoute({
  ...settled('/tasks/{task}/items/{item}/skip'),
  summary: 'Settle an item of a mapped task by hand as skipped',
  request: { params: itemParams, query: noQuery, body: { schema: SkipTask } },
  handler: skip,
});

const completeTask = defineRoute({
  ...settled('/tasks/{task}/complete', ['invalid_task_output']),
  summary: 'Settle a task by hand as completed, with its output',
  request: { params: taskParams, query: noQuery, body: { schema: CompleteTask } },
  handler: complete,
});

const completeItem = defineRoute({
  ...settled('/tasks/{task}/items/{item}/complete', ['invalid_task_output']),
  summary: 'Settle an item of a mapped task by hand as completed, with its output',
  request: { params: itemParams, query: noQuery, body: { schema: CompleteTask } },
  handler: complete,
});

export const commandRoutes: readonly Route[] = [cancel, pause, resume, retry, skipTask, skipItem, completeTask, completeItem];
