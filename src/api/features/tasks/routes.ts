import type { Action } from '../../../domain/access/actions.ts';
import { isClosed } from '../../../domain/plan/outcome.ts';
import { planMarks } from '../../../domain/redaction/planMarks.ts';
import { redact } from '../../../domain/redaction/redact.ts';
import { TASK_LABEL, taskWorkflow } from '../../../domain/run/oneTask.ts';
import type { Order } from '../../../db/commands.ts';
import { findInputs, findOutput, listRuns, type RunRow, type RunView } from '../../../db/repositories/runs.ts';
import { retryOrder } from '../../../db/retryOrder.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { acceptBatch } from '../../runs/acceptBatch.ts';
import { awaited, loadAwaited } from '../../runs/awaitRun.ts';
import { commanded, commandRun, type Commanding } from '../../runs/commandRun.ts';
import { etagOf, presentRun, presentTaskRun } from '../../runs/present.ts';
import { loadRun, planOf, presentView, readShown } from '../../runs/readRun.ts';
import { CancelRun, runParams } from '../../runs/schemas.ts';
import { loadStartPlace, placeOf } from '../../runs/startPlace.ts';
import { startProblems } from '../../runs/startAnswers.ts';
import { acceptTask } from './acceptTask.ts';
import { BatchTask, CommandTask, CreateTask, CreateTasks, listTasksQuery, TaskBatch, TaskRun, TaskRunList } from './schemas.ts';

const tag = 'tasks';
const location = { location: 'The task', 'idempotent-replayed': 'true when the key was used before' };

const create = defineRoute({
  method: 'post',
  path: '/api/v1/tasks',
  action: 'run.start',
  cost: 'write',
  tag,
  summary: 'Create one task and have it executed',
  description:
    'An ordinary run of one task: everything that runs do, it does. Needs `Idempotency-Key`, or a `runId` of the client. `Prefer: wait=N` answers with its output.',
  request: { query: noQuery, body: { schema: CreateTask } },
  responses: {
    200: {
      description: 'It ended within the time that `Prefer: wait=N` asked for',
      schema: TaskRun,
      headers: { ...location, 'preference-applied': 'wait=N' },
    },
    202: { description: 'Accepted: the task is durable', schema: TaskRun, headers: location },
  },
  problems: startProblems,
  idempotency: 'own',
  load: loadStartPlace,
  handler: (call) => acceptTask({ ...call, place: call.resource }, call.body, ''),
});

const createMany = defineRoute({
  method: 'post',
  path: '/api/v1/tasks/batch',
  action: 'run.start',
  cost: 'batch',
  tag,
  summary: 'Create several tasks',
  description:
    'At most `TIU_MAX_TASK_BATCH` (10). Each is accepted or refused as if it had come alone; `results` says of each what became of it.',
  request: { query: noQuery, body: { schema: CreateTasks } },
  responses: { 207: { description: 'What became of each, in their order', schema: TaskBatch } },
  idempotency: 'own',
  each: true,
  handler: (call) => {
    const batch = { field: 'tasks', entries: call.body.tasks, schema: BatchTask, max: call.deps.config.TIU_MAX_TASK_BATCH };
    return acceptBatch(call, batch, async (one, task, at) => acceptTask({ ...one, place: await placeOf(one, task) }, task, at));
  },
});

const isTask = (run: RunRow): boolean => run.labels?.[TASK_LABEL.name] === TASK_LABEL.value;

/** A run that was not asked for as a task is none. */
const tasksOnly = <R extends RunRow>(run: R | undefined): R | undefined => (run && isTask(run) ? run : undefined);

async function presentOne(deps: Deps, run: RunView) {
  const inputs = await findInputs(deps.db, { workspace: run.workspace, ids: [run.id] });
  const row = isClosed(run.status) ? await findOutput(deps.db, run.id) : undefined;
  const marks = planMarks(await planOf(deps, run));
  const output = row ? await readShown(deps, row, { workspace: run.workspace, marks: marks.output }) : null;
  return { ...presentTaskRun(await presentView(deps, run), redact(inputs.get(run.id) ?? null, marks.input)), output };
}

const list = defineRoute({
  method: 'get',
  path: '/api/v1/tasks',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Tasks, newest first',
  request: { query: listTasksQuery },
  responses: { 200: { description: 'A page', schema: TaskRunList } },
  handler: async ({ deps, actor, query }) => {
    const { workspace } = actor;
    const workflow = query.type === undefined ? undefined : taskWorkflow(query.type);
    const filter = { workspace, status: query.status, workflow, labels: [TASK_LABEL], since: undefined };
    const rows = await listRuns(deps.db, filter, { before: fromCursor(query.cursor, UUID), limit: query.limit + 1 });
    const shown = pageOf(rows, query.limit, (row) => row.id);
    const inputs = await findInputs(deps.db, { workspace, ids: shown.rows.map(({ id }) => id) });
    const items = await Promise.all(
      shown.rows.map(async (row) => {
        const { input } = planMarks(await planOf(deps, row));
        return presentTaskRun(presentRun(deps.config, row), redact(inputs.get(row.id) ?? null, input));
      }),
    );
    return { status: 200, body: { items, nextCursor: shown.nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/tasks/{id}',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'One task, with its output',
  description: '`Prefer: wait=N` (at most 60 s) waits for its end first.',
  request: { params: runParams, query: noQuery },
  responses: {
    200: { description: 'The task', schema: TaskRun, headers: { etag: 'The last event number of its run' } },
    304: { description: 'Unchanged since If-None-Match' },
  },
  load: async (call) => tasksOnly(await loadAwaited(call)),
  handler: async (call) => {
    const run = await awaited(call, call.resource);
    const etag = etagOf(run);
    if (call.headers['if-none-match'] === etag) return { status: 304, headers: { etag } };
    return { status: 200, body: await presentOne(call.deps, run), headers: { etag } };
  },
});

/** Gives the command, and answers with the task as it stands then. */
async function give(call: Commanding, order: Order, reason: string | undefined): Promise<Reply> {
  const run = await commandRun(call, order, reason);
  const body = await presentOne(call.deps, run);
  return { status: 202, body, headers: { location: body.links.task, etag: etagOf(run) } };
}

const taskOnly = async (call: Parameters<typeof loadRun>[0]) => tasksOnly(await loadRun(call));

/** What every command has in common: it is that of the run, which has one task. */
const command = <A extends Action, T extends string>(action: A, type: T) => {
  const route = { method: 'post', path: `/api/v1/tasks/{id}/${type}`, action, cost: 'write', tag, idempotency: 'stored' } as const;
  const problems = ['run_already_closed', 'state_conflict', 'idempotency_mismatch', 'idempotency_in_progress', 'unavailable'] as const;
  return { ...route, problems, load: taskOnly, responses: commanded(TaskRun) };
};

const cancel = defineRoute({
  ...command('run.cancel', 'cancel'),
  request: { params: runParams, query: noQuery, body: { schema: CancelRun } },
  summary: 'Ask a task to end; a second time forces it',
  handler: (call) => {
    const { reason, force = false } = call.body ?? {};
    return give(call, { type: 'cancel', force }, reason);
  },
});

const hold = (type: 'pause' | 'resume', summary: string) =>
  defineRoute({
    ...command('run.pause', type),
    summary,
    request: { params: runParams, query: noQuery, body: { schema: CommandTask } },
    handler: (call) => give(call, { type }, call.body?.reason),
  });

const pause = hold('pause', 'Do not begin a task, or no further try of it; one at work comes to its end');
const resume = hold('resume', 'Go on with a paused task');

const retry = defineRoute({
  ...command('run.retry', 'retry'),
  summary: 'Run a task again that has ended and did not complete, in a new generation',
  request: { params: runParams, query: noQuery, body: { schema: CommandTask } },
  handler: async (call) => {
    const { graph } = await planOf(call.deps, call.resource);
    return give(call, await retryOrder(call.deps.db, { id: call.resource.id, graph }, undefined), call.body?.reason);
  },
});

export const taskRoutes: readonly Route[] = [create, createMany, list, read, cancel, pause, resume, retry];
