import { z } from 'zod';
import { maybeTime, page, repeated, runIdText, time, workflowName } from '../../schemas.ts';

const instant = z.iso.datetime({ offset: true });
const range = {
  from: instant.optional().meta({ description: 'Runs accepted at or after it; 7 days before `to` without it' }),
  to: instant.optional().meta({ description: 'Runs accepted before it; now without it' }),
  workflow: workflowName.optional(),
  format: z.enum(['json', 'csv']).optional().meta({ description: 'Instead of what `Accept` asks for' }),
};
export const workflowsQuery = z.strictObject(range);
export const tasksQuery = z.strictObject({ ...range, by: z.enum(['task', 'kind']).default('task') });
const closedStatus = z.enum(['completed', 'failed', 'cancelled', 'timed_out']);
export const historyQuery = z.strictObject({
  ...range,
  ...page,
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  status: repeated(closedStatus),
});

const rate = z.number().min(0).max(1).nullable();
const n = z.int().min(0);
const ms = z.int().nullable();
const durations = z.object({ p50: ms, p95: ms, mean: ms }).meta({ id: 'Durations', description: 'ms; null when there are none' });
const failures = z.array(z.object({ code: z.string(), n })).meta({ description: 'The ten most frequent codes' });
const outcomes = {
  runs: n,
  open: n,
  completed: n,
  failed: n,
  cancelled: n,
  timedOut: n,
  successRate: rate.meta({ description: 'Completed ones among those that are closed' }),
  recentSuccessRate: rate.meta({ description: 'The same of the newest 50 that are closed' }),
};

const WorkflowRow = z
  .object({
    workflow: z.string(),
    ...outcomes,
    duration: durations.meta({ description: 'From the beginning to the end' }),
    queued: durations.meta({ description: 'From acceptance, or the time before which it was not to begin, to the beginning' }),
    failures,
  })
  .meta({ id: 'WorkflowReportRow' });

const TaskRow = z
  .object({
    workflow: z.string().nullable().meta({ description: 'Null in a report by kind' }),
    task: z.string().nullable().meta({ description: 'Null in a report by kind' }),
    kind: z.string(),
    runs: n.meta({ description: 'Tasks that have ended; a mapped one counts once' }),
    completed: n,
    failed: n,
    timedOut: n,
    cancelled: n,
    skipped: n,
    blocked: n,
    successRate: rate.meta({ description: 'Completed ones among those that completed, failed or timed out' }),
    retries: n.meta({ description: 'Attempts after the first; those of items of maps are not counted' }),
    duration: durations.meta({ description: 'From the first beginning to the end, with retries' }),
    slowestRun: runIdText.nullable(),
    failures,
  })
  .meta({ id: 'TaskReportRow' });

const counted = z
  .object({ runs: n, since: maybeTime, more: z.boolean() })
  .meta({ description: 'Runs that were counted, the newest of the range, and since when; more: older ones of the range were left out' });
const report = { from: time, to: time, counted, moreRows: z.boolean().meta({ description: 'There are more rows than a report may have' }) };

export const WorkflowReport = z
  .object({ ...report, totals: z.object(outcomes), items: z.array(WorkflowRow) })
  .meta({ id: 'WorkflowReport' });
export const TaskReport = z.object({ ...report, items: z.array(TaskRow) }).meta({ id: 'TaskReport' });
export const RunHistory = z
  .object({
    from: time,
    to: time,
    successRate: rate.meta({ description: 'Of the runs on this page' }),
    items: z.array(
      z.object({
        runId: runIdText,
        workflow: z.string(),
        status: closedStatus,
        createdAt: time,
        startedAt: maybeTime,
        finishedAt: time,
        queuedMs: ms,
        durationMs: ms,
        code: z.string().nullable().meta({ description: 'Of its failure' }),
      }),
    ),
    nextCursor: z.string().nullable().meta({ description: 'Of the next page; a page may be short and not the last' }),
  })
  .meta({ id: 'RunHistory' });
