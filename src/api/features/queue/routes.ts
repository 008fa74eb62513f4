import { countQueued, findLimit, holdersOf, listQueue, type QueuedRow } from '../../../db/admission.ts';
import { priorityName } from '../../../domain/run/priority.ts';
import { Problem } from '../../../domain/problem.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import { defineRoute, type Route } from '../../route.ts';
import { loadRun } from '../../runs/readRun.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { explainRun, readWorkers, reasonOf, type Workers } from './explainRun.ts';
import { Explanation, explainParams, Limit, limitParams, Queue, queueQuery } from './schemas.ts';

const tag = 'queue';
const SHOWN = 200;
/** Position, rank and run of the last one shown. */
const CURSOR = /^\d{1,9} [-0-9T:.]{20,30}Z [0-9a-f-]{36}$/;

const presentQueued = (row: QueuedRow & { position: number }, workers: Workers) => ({
  id: row.run,
  workflow: row.definition,
  position: row.position,
  priority: priorityName(row.priority),
  createdAt: iso(row.created),
  notBefore: maybeIso(row.not_before),
  concurrency: row.ckey === null ? null : { key: row.ckey, limit: row.climit ?? 1 },
  reason: reasonOf(row, workers),
});

const queue = defineRoute({
  method: 'get',
  path: '/api/v1/queue',
  action: 'queue.read',
  cost: 'read',
  tag,
  summary: 'Queued runs of the workspace, in the order in which they start',
  description:
    'Workspaces take turns; inside one, priority aged by waiting time. A run that waits for its concurrency key is passed by others.',
  request: { query: queueQuery },
  responses: { 200: { description: 'A page', schema: Queue } },
  handler: async ({ deps, actor, query }) => {
    const [last = '0', rank = '', run = ''] = (fromCursor(query.cursor, CURSOR) ?? '0').split(' ');
    const after = query.cursor === undefined ? undefined : { rank, run };
    const [rows, workers] = await Promise.all([
      listQueue(deps.db, { workspace: actor.workspace, after, limit: query.limit + 1 }),
      readWorkers(deps),
    ]);
    const placed = rows.map((row, i) => ({ ...row, position: Number(last) + i + 1 }));
    const page = pageOf(placed, query.limit, (row) => `${row.position} ${row.rank} ${row.run}`);
    return { status: 200, body: { items: page.rows.map((row) => presentQueued(row, workers)), nextCursor: page.nextCursor } };
  },
});

const attemptOf = (row: { run: string; task: number; item: number }) => ({
  runId: row.run,
  task: row.task,
  item: row.item < 0 ? null : row.item,
});

const limit = defineRoute({
  method: 'get',
  path: '/api/v1/limits/{key}',
  action: 'limit.read',
  cost: 'read',
  tag,
  summary: 'A concurrency key or a limit of tasks: who holds it, who waits for it',
  description: `At most ${SHOWN} of each, in their order.`,
  request: { params: limitParams, query: noQuery },
  responses: { 200: { description: 'What is known of it', schema: Limit } },
  handler: async ({ deps, actor, params }) => {
    const of = { workspace: actor.workspace, key: params.key, limit: SHOWN };
    const [{ bucket, leases, line }, holders, queued] = await Promise.all([
      findLimit(deps.db, of),
      holdersOf(deps.db, of),
      countQueued(deps.db, of),
    ]);
    if (!bucket && holders.length === 0 && queued === 0) throw new Problem('not_found', { detail: 'Nothing has asked for this key' });
    const rate =
      bucket?.rate != null && bucket.per_ms !== null
        ? { limit: bucket.rate, perMs: bucket.per_ms, tokens: bucket.tokens ?? bucket.rate }
        : null;
    return {
      status: 200,
      body: {
        key: params.key,
        runs: { holders, queued },
        concurrency: bucket?.slots ?? null,
        rate,
        holders: leases.map((row) => ({ ...attemptOf(row), slot: row.slot, attempt: row.attempt })),
        waiting: line.map((row, i) => ({ ...attemptOf(row), position: i + 1, sinceAt: iso(row.since), untilAt: maybeIso(row.until) })),
      },
    };
  },
});

const explain = defineRoute({
  method: 'get',
  path: '/api/v1/runs/{id}/explain',
  action: 'run.read',
  cost: 'read',
  tag: 'runs',
  summary: 'What a run waits for',
  request: { params: explainParams, query: noQuery },
  responses: { 200: { description: 'Everything it waits for now', schema: Explanation } },
  load: loadRun,
  handler: async ({ deps, resource }) => ({
    status: 200,
    body: { runId: resource.id, status: resource.status, waitsFor: await explainRun(deps, resource) },
  }),
});

export const queueRoutes: readonly Route[] = [queue, limit, explain];
