import type { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import type { AskedOrder } from '../../../domain/plan/plan.ts';
import { countRuns, listRuns } from '../../../db/repositories/runs.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { acceptBatch } from '../../runs/acceptBatch.ts';
import { acceptRun } from '../../runs/acceptRun.ts';
import { awaited, loadAwaited } from '../../runs/awaitRun.ts';
import { filterOf } from '../../runs/filterRuns.ts';
import { etagOf, presentRun } from '../../runs/present.ts';
import { presentView } from '../../runs/readRun.ts';
import { Run, runParams, StartRun } from '../../runs/schemas.ts';
import { loadStartPlace, placeOf } from '../../runs/startPlace.ts';
import { accepted, startProblems } from '../../runs/startAnswers.ts';
import { BatchRun, ExecuteWorkflow, listRunsQuery, RunBatch, RunList, StartRuns, workflowParams } from './schemas.ts';

const tag = 'runs';

const start = defineRoute({
  method: 'post',
  path: '/api/v1/runs',
  action: 'run.start',
  cost: 'write',
  tag,
  summary: 'Start a run',
  description: 'Needs `Idempotency-Key`, or a `runId` of the client. An `application/yaml` body is a definition that is run without input.',
  request: { query: noQuery, body: { schema: StartRun, fromYaml: (definition) => ({ definition }) } },
  responses: accepted,
  problems: startProblems,
  idempotency: 'own',
  load: loadStartPlace,
  handler: (call) => acceptRun(call, { ...startInput(call.actor, call.body), place: call.resource }),
});

/** What a request to start a run asks for. */
function startInput({ workspace }: Actor, { definition, workflow, runId, strategy, maxConcurrency, ...rest }: z.output<typeof StartRun>) {
  const order = orderOf({ strategy, maxConcurrency });
  const source = workflow
    ? { workspace, name: workflow.name, version: workflow.version, ...order }
    : { definition: definition ?? '', ...order };
  return { ...rest, runId, source, fingerprint: { workflow, strategy, maxConcurrency, ...rest } };
}

const orderOf = (order: AskedOrder): { order?: AskedOrder } =>
  order.strategy === undefined && order.maxConcurrency === undefined ? {} : { order };

const execute = defineRoute({
  method: 'post',
  path: '/api/v1/workflows/{name}/execute',
  action: 'run.start',
  cost: 'write',
  tag,
  summary: 'Start a run of a stored workflow',
  request: { params: workflowParams, query: noQuery, body: { schema: ExecuteWorkflow } },
  responses: accepted,
  problems: startProblems,
  idempotency: 'own',
  load: loadStartPlace,
  handler: (call) => {
    const { version, runId, strategy, maxConcurrency, ...rest } = call.body ?? {};
    const source = { workspace: call.actor.workspace, name: call.params.name, version, ...orderOf({ strategy, maxConcurrency }) };
    return acceptRun(call, {
      ...rest,
      runId,
      source,
      place: call.resource,
      fingerprint: { workflow: { name: call.params.name, version }, strategy, maxConcurrency, ...rest },
    });
  },
});

const startMany = defineRoute({
  method: 'post',
  path: '/api/v1/runs/batch',
  action: 'run.start',
  cost: 'batch',
  tag,
  summary: 'Start several runs',
  description:
    'At most `TIU_MAX_RUN_BATCH` (1,000). Each is accepted or refused as if it had come alone; `results` says of each what became of it.',
  request: { query: noQuery, body: { schema: StartRuns } },
  responses: { 207: { description: 'What became of each, in their order', schema: RunBatch } },
  idempotency: 'own',
  each: true,
  handler: (call) => {
    const batch = { field: 'runs', entries: call.body.runs, schema: BatchRun, max: call.deps.config.TIU_MAX_RUN_BATCH };
    return acceptBatch(call, batch, async (one, run) => acceptRun(one, { ...startInput(call.actor, run), place: await placeOf(one, run) }));
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/runs',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Runs, newest first',
  request: { query: listRunsQuery },
  responses: { 200: { description: 'A page', schema: RunList } },
  handler: async ({ deps, actor, query }) => {
    const filter = { ...filterOf(actor, query), parent: query.parent };
    const before = fromCursor(query.cursor, UUID);
    const { rows, nextCursor } = pageOf(await listRuns(deps.db, filter, { before, limit: query.limit + 1 }), query.limit, (row) => row.id);
    const total = query.count === 'true' ? { total: await countRuns(deps.db, filter) } : {};
    return { status: 200, body: { items: rows.map((row) => presentRun(deps.config, row)), nextCursor, ...total } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'One run',
  description: '`Prefer: wait=N` (at most 60 s) waits for its end first.',
  request: { params: runParams, query: noQuery },
  responses: {
    200: { description: 'The run', schema: Run, headers: { etag: 'Its last event number' } },
    304: { description: 'Unchanged since If-None-Match' },
  },
  load: loadAwaited,
  handler: async (call) => {
    const { deps, headers, resource } = call;
    const run = await awaited(call, resource);
    const etag = etagOf(run);
    if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } };
    return { status: 200, body: await presentView(deps, run), headers: { etag } };
  },
});

export const runRoutes: readonly Route[] = [start, execute, startMany, list, read];
