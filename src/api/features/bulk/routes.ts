import { Problem } from '../../../domain/problem.ts';
import { abortBulk, findBulk, listBulk, startBulk, type BulkRow } from '../../../db/repositories/bulk.ts';
import { countRunsUpTo } from '../../../db/repositories/runs.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { BulkCount, BulkJob, BulkJobList, bulkParams, bulkQuery, StartBulk } from './schemas.ts';
import { filterOf } from '../../runs/filterRuns.ts';

const tag = 'bulk';
const repeatable = ['idempotency_mismatch', 'idempotency_in_progress', 'unavailable'] as const;

function presentBulk({ id, status, type, force, reason, filter, counted, ...row }: BulkRow) {
  const self = `/api/v1/bulk/${id}`;
  const { labels, project = null, ...chosen } = filter;
  return {
    ...{ id, status, command: { type, force, reason } },
    filter: { ...chosen, project, label: labels.map(({ name, value }) => `${name}:${value}`) },
    ...{ count: counted, more: row.more, done: row.done, applied: row.applied, refused: row.refused },
    ...{ createdAt: iso(row.created), createdBy: row.created_by, finishedAt: maybeIso(row.finished) },
    links: { self, abort: `${self}/abort` },
  };
}

const start = defineRoute({
  method: 'post',
  path: '/api/v1/runs/bulk',
  action: 'run.bulk',
  cost: 'batch',
  tag,
  summary: 'Give one command to all runs of a filter',
  description:
    'A durable job: it takes the runs in the order of their ids, each as it stands when its turn comes, and leaves out those accepted after the job. With `preview` nothing happens, the runs are only counted. Without `force`, runs that were asked to end before are left as they are.',
  request: { query: noQuery, body: { schema: StartBulk } },
  responses: {
    200: { description: 'A preview: how many there are', schema: BulkCount },
    202: { description: 'The job is durable and under way', schema: BulkJob, headers: { location: 'The job' } },
  },
  problems: ['too_many_bulk_jobs', ...repeatable],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const { db, config } = deps;
    const filter = filterOf(actor, body.filter);
    const counted = await countRunsUpTo(db, filter, config.TIU_MAX_BULK_COUNT);
    if (body.preview) return { status: 200, body: counted };
    const { type, force = false, reason } = body.command;
    const given = { type, force, reason, filter, counted: counted.count, more: counted.more, by: actor.principal };
    const bulk = await startBulk(db, given, config.TIU_MAX_BULK_JOBS);
    if (!bulk) throw new Problem('too_many_bulk_jobs', { detail: `At most ${config.TIU_MAX_BULK_JOBS}` });
    deps.tellBulk();
    const job = presentBulk(bulk);
    return { status: 202, body: job, headers: { location: job.links.self } };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/bulk',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'Bulk jobs, newest first',
  request: { query: bulkQuery },
  responses: { 200: { description: 'A page', schema: BulkJobList } },
  handler: async ({ deps, actor, query }) => {
    const page = { workspace: actor.workspace, before: fromCursor(query.cursor, UUID), limit: query.limit + 1 };
    const { rows, nextCursor } = pageOf(await listBulk(deps.db, page), query.limit, (row) => row.id);
    return { status: 200, body: { items: rows.map(presentBulk), nextCursor } };
  },
});

/** The job that a path names, for `load`. */
const loadBulk = ({ deps, actor, params }: Pick<Call<{ id: string }, never, never, never>, 'deps' | 'actor' | 'params'>) =>
  UUID.test(params.id) ? findBulk(deps.db, { workspace: actor.workspace, id: params.id }) : Promise.resolve(undefined);

const read = defineRoute({
  method: 'get',
  path: '/api/v1/bulk/{id}',
  action: 'run.read',
  cost: 'read',
  tag,
  summary: 'One bulk job, with what it has done so far',
  request: { params: bulkParams, query: noQuery },
  responses: { 200: { description: 'The job', schema: BulkJob } },
  load: loadBulk,
  handler: ({ resource }) => Promise.resolve({ status: 200, body: presentBulk(resource) }),
});

const abort = defineRoute({
  method: 'post',
  path: '/api/v1/bulk/{id}/abort',
  action: 'run.bulk',
  cost: 'batch',
  tag,
  summary: 'End a bulk job: no further run gets its command',
  request: { params: bulkParams, query: noQuery },
  responses: { 200: { description: 'The job has ended; what it has done stays done', schema: BulkJob } },
  problems: ['state_conflict', ...repeatable],
  idempotency: 'stored',
  load: loadBulk,
  handler: async ({ deps, actor, resource }) => {
    const bulk = await abortBulk(deps.db, { workspace: actor.workspace, id: resource.id, by: actor.principal });
    if (!bulk) throw new Problem('state_conflict', { detail: 'The job has ended' });
    return { status: 200, body: presentBulk(bulk) };
  },
});

export const bulkRoutes: readonly Route[] = [start, list, read, abort];
