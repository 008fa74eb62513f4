import { listHistory, reportTasks, reportWorkflows, type Bounds, type Counted } from '../../../db/repositories/reports.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { fromCursor, toCursor, UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Call, type Reply, type Route } from '../../route.ts';
import { iso, maybeIso } from '../../time.ts';
import { asCsv, presentHistory, presentOutcomes, presentTask, presentWorkflow } from './present.ts';
import { historyQuery, RunHistory, TaskReport, tasksQuery, WorkflowReport, workflowsQuery } from './schemas.ts';

const tag = 'reports';
const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 7;
const types = ['application/json', 'text/csv'];
const headers = { 'tiu-more': 'Of CSV: `runs` and `rows` that were left out, `cursor=…` of the next page' };

type Query = { from?: string | undefined; to?: string | undefined; workflow?: string | undefined; format?: 'json' | 'csv' | undefined };

/** @throws Problem invalid_request */
function rangeOf({ config, clock }: Pick<Deps, 'config' | 'clock'>, workspace: string, query: Query) {
  const to = query.to === undefined ? new Date(clock()) : new Date(query.to);
  const from = query.from === undefined ? new Date(to.getTime() - DEFAULT_DAYS * DAY_MS) : new Date(query.from);
  const refuse = (message: string) => invalidField('/query/from', message, 'invalid_range');
  if (from >= to) throw refuse('is not before `to`');
  if (to.getTime() - from.getTime() > config.TIU_REPORT_MAX_DAYS * DAY_MS)
    throw refuse(`is more than ${config.TIU_REPORT_MAX_DAYS} days before \`to\``);
  return { workspace, definition: query.workflow, from, to };
}

const boundsOf = ({ config }: Pick<Deps, 'config'>): Bounds => ({
  runs: config.TIU_REPORT_MAX_RUNS,
  tasks: config.TIU_REPORT_MAX_TASKS,
  rows: config.TIU_REPORT_MAX_ROWS,
});

const wantsCsv = ({ query, headers: { accept } }: { query: Query; headers: Call<never, never, never, never>['headers'] }): boolean =>
  query.format === undefined ? (accept ?? '').split(',')[0]?.trim().startsWith('text/csv') === true : query.format === 'csv';

function csvReply(text: string, name: string, more: readonly string[]): Reply {
  const disposition = { 'content-disposition': `attachment; filename="${name}.csv"` };
  return {
    status: 200,
    type: 'text/csv; charset=utf-8',
    body: text,
    headers: { ...disposition, ...(more.length > 0 && { 'tiu-more': more.join(', ') }) },
  };
}

const spanOf = ({ from, to }: { from: Date; to: Date }) => ({ from: iso(from), to: iso(to) });
const presentCounted = ({ runs, since, more }: Counted) => ({ runs, since: maybeIso(since), more });
const leftOut = (counted: Counted, moreRows: boolean): string[] => [...(counted.more ? ['runs'] : []), ...(moreRows ? ['rows'] : [])];

const workflows = defineRoute({
  method: 'get',
  path: '/api/v1/reports/workflows',
  action: 'report.read',
  cost: 'heavy',
  tag,
  summary: 'Runs by definition: outcomes, success rate, durations, queue time, failures',
  description:
    'Runs accepted in a range of at most `TIU_REPORT_MAX_DAYS`, the newest `TIU_REPORT_MAX_RUNS` of them; the busiest definition first.',
  request: { query: workflowsQuery },
  responses: { 200: { description: 'The report', schema: WorkflowReport, types, headers } },
  handler: async (call) => {
    const { deps, actor, query } = call;
    const range = rangeOf(deps, actor.workspace, query);
    const bounds = boundsOf(deps);
    const { counted, totals, rows } = await reportWorkflows(deps.db, range, bounds);
    const moreRows = rows.length > bounds.rows;
    const items = rows.slice(0, bounds.rows).map(presentWorkflow);
    if (wantsCsv(call)) return csvReply(asCsv(WORKFLOW_COLUMNS, items), 'workflows', leftOut(counted, moreRows));
    return { status: 200, body: { ...spanOf(range), counted: presentCounted(counted), moreRows, totals: presentOutcomes(totals), items } };
  },
});

const OUTCOMES = ['runs', 'open', 'completed', 'failed', 'cancelled', 'timedOut', 'successRate', 'recentSuccessRate'] as const;
const WORKFLOW_COLUMNS = ['workflow', ...OUTCOMES, 'duration', 'queued', 'failures'] as const;
const TASK_COLUMNS = [
  ...(['workflow', 'task', 'kind', 'runs', 'completed', 'failed', 'timedOut', 'cancelled', 'skipped', 'blocked'] as const),
  ...(['successRate', 'retries', 'duration', 'slowestRun', 'failures'] as const),
];
const HISTORY_COLUMNS = ['runId', 'workflow', 'status', 'createdAt', 'startedAt', 'finishedAt', 'queuedMs', 'durationMs', 'code'] as const;

const tasks = defineRoute({
  method: 'get',
  path: '/api/v1/reports/tasks',
  action: 'report.read',
  cost: 'heavy',
  tag,
  summary: 'Tasks by definition and id, or by kind: the slowest first, with outcomes, retries and failures',
  description: 'Tasks of the newest runs of a range that have ended, as many runs as have `TIU_REPORT_MAX_TASKS` tasks together.',
  request: { query: tasksQuery },
  responses: { 200: { description: 'The report', schema: TaskReport, types, headers } },
  handler: async (call) => {
    const { deps, actor, query } = call;
    const range = rangeOf(deps, actor.workspace, query);
    const bounds = boundsOf(deps);
    const { counted, rows } = await reportTasks(deps.db, { ...range, by: query.by }, bounds);
    const moreRows = rows.length > bounds.rows;
    const items = rows.slice(0, bounds.rows).map(presentTask);
    if (wantsCsv(call)) return csvReply(asCsv(TASK_COLUMNS, items), 'tasks', leftOut(counted, moreRows));
    return { status: 200, body: { ...spanOf(range), counted: presentCounted(counted), moreRows, items } };
  },
});

const history = defineRoute({
  method: 'get',
  path: '/api/v1/reports/history',
  action: 'report.read',
  cost: 'heavy',
  tag,
  summary: 'Runs that have ended, newest first, with their times',
  request: { query: historyQuery },
  responses: { 200: { description: 'A page', schema: RunHistory, types, headers } },
  handler: async (call) => {
    const { deps, actor, query } = call;
    const range = rangeOf(deps, actor.workspace, query);
    const page = { before: fromCursor(query.cursor, UUID), limit: query.limit, walk: deps.config.TIU_REPORT_MAX_RUNS };
    const { rows, last } = await listHistory(deps.db, { ...range, status: query.status }, page);
    const end = rows.length === query.limit ? rows.at(-1)?.id : last;
    const nextCursor = end == null ? null : toCursor(end);
    const shown = presentHistory(rows);
    if (wantsCsv(call))
      return csvReply(asCsv(HISTORY_COLUMNS, shown.items), 'history', nextCursor === null ? [] : [`cursor=${nextCursor}`]);
    return { status: 200, body: { ...spanOf(range), ...shown, nextCursor } };
  },
});

export const reportRoutes: readonly Route[] = [workflows, tasks, history];
