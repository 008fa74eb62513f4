import { z } from 'zod';
import { anyJson, Failure, listOf, maybeTime, page, repeated, runIdText, taskId, text, time } from '../../schemas.ts';
import { filterFields } from '../../runs/filterRuns.ts';
import { batchOf, entries, ownKey } from '../../runs/batchSchemas.ts';
import {
  countsByStatus,
  orderFields,
  percent,
  reason,
  Run,
  runStatus,
  someTasks,
  startFields,
  StartRun,
  taskStatus,
} from '../../runs/schemas.ts';

export const RunOutput = z.object({ runId: runIdText, status: runStatus, output: anyJson }).meta({ id: 'RunOutput' });
export const RunList = listOf(Run).extend({ total: z.int().optional() }).meta({ id: 'RunList' });

const taskFields = {
  status: taskStatus,
  attempt: z.int(),
  generation: z.int(),
  startedAt: maybeTime,
  finishedAt: maybeTime,
  nextAttemptAt: maybeTime,
  failure: Failure.nullable(),
  outputSize: z.int().nullable().meta({ description: 'Bytes of its JSON' }),
};

const Task = z
  .object({
    id: taskId,
    kind: z.string(),
    title: z.string().nullable(),
    undoes: z.string().nullable().meta({ description: 'Of a compensation: the task that it undoes' }),
    dependsOn: z.array(z.string()),
    weight: z.int().meta({ description: 'What it counts for in the percentage of the run' }),
    ...taskFields,
    items: countsByStatus.nullable().meta({ description: 'Of a mapped task: items by status' }),
  })
  .meta({ id: 'Task' });
export const TaskDetail = Task.extend({ output: anyJson }).meta({ id: 'TaskDetail' });
export const TaskList = z.object({ items: z.array(Task) }).meta({ id: 'TaskList' });

const Item = z
  .object({
    index: z.int(),
    ...taskFields,
    output: anyJson,
    outputRef: z.string().nullable().meta({ description: 'SHA-256 of an output that is kept in the object store and not shown here' }),
  })
  .meta({ id: 'Item' });
export const ItemList = listOf(Item).meta({ id: 'ItemList' });

const ms = z.int().min(0);
export const Progress = z
  .object({
    runId: runIdText,
    status: runStatus,
    percent: percent.meta({
      description:
        'By the weight of tasks that are completed or skipped, and of items of maps; never falls but by a retry, 100 exactly when the run has completed',
    }),
    retries: z.int().meta({ description: 'How often it was opened again: each time a new progress begins, with what the retry leaves' }),
    tasks: z.object({ total: z.int(), done: z.int(), open: z.int() }).meta({ description: 'In all, completed or skipped, not finished' }),
    atWork: z.array(taskId).meta({ description: 'Tasks that are running, waiting or to be tried again, at most 20' }),
    startedAt: maybeTime,
    estimate: z.object({ endsAt: time, earliestAt: time, latestAt: time, runs: z.int() }).nullable().meta({
      description:
        'When it will end: the middle of what `runs` earlier completed runs of the definition took from this point on; eight of ten of them lie between earliestAt and latestAt',
    }),
    noEstimate: z
      .enum(['closed', 'queued', 'too_few_runs', 'longer_than_before'])
      .nullable()
      .meta({ description: 'Why there is no estimate; too few are less than 3' }),
    criticalPath: z
      .array(
        z.object({
          task: taskId,
          status: taskStatus,
          tookMs: ms.nullable().meta({ description: 'Null until it has ended' }),
          expected: z
            .object({ ms, lowMs: ms, highMs: ms })
            .nullable()
            .meta({ description: 'Median of earlier runs, and where eight of ten of them lie' }),
        }),
      )
      .meta({ description: 'Tasks that decide when the run ends, in order; empty while too little is known' }),
  })
  .meta({ id: 'Progress' });

const RunEvent = z
  .object({
    seq: z.int(),
    type: z.string(),
    at: time,
    runId: runIdText,
    task: taskId.optional(),
    item: z.int().optional(),
    attempt: z.int().optional(),
    data: anyJson.optional(),
  })
  .meta({ id: 'RunEvent' });
export const EventList = z.object({ items: z.array(RunEvent), lastSeq: z.int() }).meta({ id: 'EventList' });

export const ExecuteWorkflow = z
  .strictObject({ version: z.union([z.int().min(1), text(100)]).optional(), input: anyJson.optional(), ...startFields, ...orderFields })
  .optional()
  .meta({ id: 'ExecuteWorkflow' });

export const PauseRun = z
  .strictObject({
    reason,
    tasks: someTasks.meta({ description: 'Only these tasks; the whole run without it' }),
    branch: z.boolean().optional().meta({ description: 'With `tasks`: and all that depends on them' }),
  })
  .refine((body) => body.branch === undefined || body.tasks !== undefined, 'branch goes with tasks')
  .optional()
  .meta({ id: 'PauseRun' });

export const RetryRun = z
  .strictObject({
    reason,
    tasks: someTasks.meta({ description: 'Only these tasks, which must not have completed, and all that depends on them' }),
  })
  .optional()
  .meta({ id: 'RetryRun' });

export const SkipTask = z.strictObject({ reason }).optional().meta({ id: 'SkipTask' });
export const CompleteTask = z.strictObject({ reason, output: anyJson }).meta({ id: 'CompleteTask' });
export const itemParams = z.object({ id: z.string(), task: z.string(), item: z.coerce.number().int().min(0).max(99_999) });

export const workflowParams = z.object({ name: z.string() });

export const taskParams = z.object({ id: z.string(), task: z.string() });

export const listRunsQuery = z.strictObject({
  ...page,
  ...filterFields,
  parent: z.uuid().optional().meta({ description: 'Only runs that this one has started' }),
  sort: z.enum(['-createdAt']).default('-createdAt'),
  count: z.enum(['true', 'false']).default('false'),
});
export const itemsQuery = z.strictObject({ ...page, status: repeated(taskStatus) });
export const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(500),
});

export const BatchRun = StartRun.safeExtend({ idempotencyKey: ownKey }).meta({ id: 'BatchRun' });
export const StartRuns = z.strictObject({ runs: entries(BatchRun) }).meta({ id: 'StartRuns' });
export const RunBatch = batchOf(Run).meta({ id: 'RunBatch' });
