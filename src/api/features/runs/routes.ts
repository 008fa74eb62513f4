import type { z } from 'zod';
import type { Actor } from '../../../domain/access/can.ts';
import type { ProblemCode } from '../../../domain/problem.ts';
import { countRuns, listRuns, type RunFilter } from '../../../db/repositories/runs.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { acceptRun } from './acceptRun.ts';
import { awaited, loadAwaited } from './awaitRun.ts';
import { etagOf, presentRun } from './present.ts';
import { presentView } from './readRun.ts';
import { ExecuteWorkflow, listRunsQuery, Run, RunList, runParams, RunResult, StartRun, workflowParams } from './schemas.ts';

const tag = 'runs';

export const accepted = {
  200: {
    description: 'It ended within the time that `Prefer: wait=N` (at most 60 s) asked for',
    schema: RunResult,
    headers: { location: 'The run', 'preference-applied': 'wait=N', 'idempotent-replayed': 'true when the key was used before' },
  },
  202: {
    description: 'Accepted: the run is durable',
    schema: Run,
    headers: { location: 'The run', 'idempotent-replayed': 'true when the key was used before' },
  },
};
export const startProblems: ProblemCode[] = [
  'concurrency_limit',
  'not_found',
  'idempotency_key_required',
  'idempotency_mismatch',
  'invalid_definition',
  'invalid_run_input',
  'number_out_of_range',
  'rate_limited',
  'unavailable',
];

const start = defineRoute({
  method: 'post',
  path: '/api/v1/runs',
  action: 'run.start',
  tag,
  summary: 'Start a run',
  description: 'Needs `Idempotency-Key`, or a `runId` of the client. An `application/yaml` body is a definition that is run without input.',
  request: { query: noQuery, body: { schema: StartRun, fromYaml: (definition) => ({ definition }) } },
  responses: accepted,
  problems: startProblems,
  idempotency: 'own',
  handler: (call) => acceptRun(call, startInput(call.actor, call.body)),
});

/** What a request to start a run asks for. */
export function startInput({ workspace }: Actor, { definition, workflow, runId, ...rest }: z.output<typeof StartRun>) {
  const source = workflow ? { workspace, name: workflow.name, version: workflow.version } : { definition: definition ?? '' };
  return { ...rest, runId, source, fingerprint: { workflow, ...rest } };
}

const execute = defineRoute({
  method: 'post',
  path: '/api/v1/workflows/{name}/execute',
  action: 'run.start',
  tag,
  summary: 'Start a run of a stored workflow',
  request: { params: workflowParams, query: noQuery, body: { schema: ExecuteWorkflow } },
  responses: accepted,
  problems: startProblems,
  idempotency: 'own',
  handler: (call) => {
    const { version, runId, ...rest } = call.body ?? {};
    const source = { workspace: call.actor.workspace, name: call.params.name, version };
    return acceptRun(call, {
      ...rest,
      runId,
      source,
      fingerprint: { workflow: { name: call.params.name, version }, ...rest },
    });
  },
});

type FilterInput = Pick<z.output<typeof listRunsQuery>, 'status' | 'workflow' | 'label' | 'since'>;

/** The runs that a request chooses, of the caller's workspace. */
export const filterOf = ({ workspace }: Actor, { status, workflow, label, since }: FilterInput): RunFilter => ({
  workspace,
  status,
  workflow,
  labels: label.map((text) => ({ name: text.slice(0, text.indexOf(':')), value: text.slice(text.indexOf(':') + 1) })),
  since: since === undefined ? undefined : new Date(since),
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/runs',
  action: 'run.read',
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

export const runRoutes: readonly Route[] = [start, execute, list, read];
