import { z } from 'zod';
import { RUN_STATUSES, TASK_STATUSES } from '../../../domain/plan/outcome.ts';
import { MODES } from '../../../domain/plan/plan.ts';
import { PRIORITIES } from '../../../domain/run/priority.ts';
import {
  anyJson,
  Failure,
  listOf,
  maybeTime,
  page,
  repeated,
  runIdText,
  strategyReason,
  strategyUsed,
  taskId,
  text,
  time,
  workflowName,
} from '../../schemas.ts';

export const runStatus = z.enum(RUN_STATUSES);
const taskStatus = z.enum(TASK_STATUSES);
const label = text(200);
const labels = z.record(z.string().regex(/^[\w.-]{1,63}$/), label).refine((value) => Object.keys(value).length <= 50, 'at most 50 labels');

const countsByStatus = z.object(Object.fromEntries(TASK_STATUSES.map((name) => [name, z.int().optional()])));

const percent = z.int().min(0).max(100);

export const Run = z
  .object({
    id: runIdText,
    workflow: z.object({
      name: z.string(),
      number: z.int().nullable().meta({ description: 'Of the stored definition; null for one that came with the run' }),
    }),
    status: runStatus,
    /** A wish that is under way. */
    intent: z
      .enum(['cancel', 'force', 'timeout', 'fail'])
      .nullable()
      .meta({ description: 'What the run was asked and has not reached yet' }),
    phase: z
      .enum(['running', 'compensating', 'finishing'])
      .nullable()
      .meta({ description: 'Its tasks settle, what was completed is undone, or those of `finally` run; null once it is closed' }),
    paused: z.boolean().meta({ description: 'Nothing new begins until it is resumed' }),
    priority: z.enum(PRIORITIES),
    mode: z.enum(MODES),
    labels: z.record(z.string(), anyJson),
    forkedFrom: runIdText.nullable().meta({ description: 'The run that it began as a fork of' }),
    createdAt: time,
    createdBy: z.string(),
    startedAt: maybeTime,
    finishedAt: maybeTime,
    notBefore: maybeTime.meta({ description: 'When a delayed run may begin' }),
    deadlineAt: maybeTime,
    lastSeq: z.int().meta({ description: 'Number of its last event; also its ETag' }),
    counts: countsByStatus.extend({ total: z.int(), open: z.int() }).meta({ description: 'Tasks in all, not finished, and by status' }),
    strategyUsed: strategyUsed.optional().meta({ description: 'In which order its tasks begin; left out in lists' }),
    strategyReason: strategyReason.optional().meta({ description: 'Why that one; left out in lists' }),
    percent: percent.optional().meta({ description: 'How much of it is done, as in Progress; left out in lists' }),
    reason: z.string().nullable(),
    parent: runIdText.nullable().meta({ description: 'The run that has started it' }),
    failure: Failure.nullable(),
    links: z.object({ self: z.string(), tasks: z.string(), events: z.string(), output: z.string(), temporal: z.string() }),
  })
  .meta({ id: 'Run' });

export const RunResult = Run.extend({ output: anyJson.meta({ description: 'Null unless the run completed' }) }).meta({ id: 'RunResult' });
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

export const duration = z.union([z.string().max(100), z.record(z.string(), z.number())]);

/** What every way to start a run takes, besides its input. */
export const startFields = {
  runId: z
    .uuid()
    .optional()
    .meta({ description: 'A v7 within a day of now becomes the id of the run; any other is an idempotency key only' }),
  priority: z.enum(PRIORITIES).optional(),
  mode: z.enum(MODES).optional().meta({ description: 'Instead of what the definition says' }),
  labels: labels.optional(),
  delay: duration.optional().meta({ description: 'Accepted now, begun so much later: `PT10M` or `{ minutes: 10 }`; a year at most' }),
  startAt: z.iso.datetime({ offset: true }).optional().meta({ description: 'Accepted now, not begun before; a year ahead at most' }),
};

const definitionFields = {
  definition: z
    .union([z.record(z.string(), z.unknown()), z.string().min(1)])
    .optional()
    .meta({ description: 'The definition itself: an object, or YAML (or JSON) text' }),
  workflow: z
    .strictObject({ name: workflowName, version: z.union([z.int().min(1), text(100)]).optional() })
    .optional()
    .meta({ description: 'A stored one' }),
};

export const StartRun = z
  .strictObject({
    ...definitionFields,
    input: anyJson.optional(),
    ...startFields,
  })
  .refine((body) => (body.definition === undefined) !== (body.workflow === undefined), 'either definition or workflow')
  .meta({ id: 'StartRun' });

export const ExecuteWorkflow = z
  .strictObject({ version: z.union([z.int().min(1), text(100)]).optional(), input: anyJson.optional(), ...startFields })
  .optional()
  .meta({ id: 'ExecuteWorkflow' });

export const reason = text(1_000).optional();

export const CancelRun = z
  .strictObject({
    reason,
    force: z.boolean().optional().meta({ description: 'Ends tasks at work too, and leaves out compensations and `finally`' }),
  })
  .optional()
  .meta({ id: 'CancelRun' });

const someTasks = z.array(taskId).min(1).max(1_000).optional();

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

const { runId, priority, mode, labels: startLabels } = startFields;

export const ForkRun = z
  .strictObject({
    from: someTasks.meta({ description: 'Tasks that run again, with all that depends on them' }),
    input: anyJson.optional().meta({ description: 'Instead of that of the source; what names a field that changed runs again' }),
    outputs: z
      .record(taskId, anyJson)
      .refine((value) => Object.keys(value).length <= 1_000, 'at most 1,000 outputs')
      .optional()
      .meta({ description: 'Tasks that count as completed with this output; what depends on them runs again' }),
    ...definitionFields,
    ...{ runId, priority, mode, labels: startLabels, reason },
  })
  .refine((body) => body.definition === undefined || body.workflow === undefined, 'either definition or workflow')
  .optional()
  .meta({ id: 'ForkRun' });

const taskIds = z.array(taskId);
export const ForkPreview = z
  .object({
    again: taskIds.meta({ description: 'Tasks that run again' }),
    kept: taskIds.meta({ description: 'Tasks that stay as they are, with their outputs' }),
    given: taskIds.meta({ description: 'Tasks whose output was given' }),
    repeatedEffects: taskIds.meta({
      description: 'Of those that run again: effects that had completed in the source, in whole or in part',
    }),
    why: z.record(taskId, z.string()).meta({ description: 'Of each task that runs again: the reason' }),
  })
  .meta({ id: 'ForkPreview' });

export const SkipTask = z.strictObject({ reason }).optional().meta({ id: 'SkipTask' });
export const CompleteTask = z.strictObject({ reason, output: anyJson }).meta({ id: 'CompleteTask' });
export const itemParams = z.object({ id: z.string(), task: z.string(), item: z.coerce.number().int().min(0).max(99_999) });

export const workflowParams = z.object({ name: z.string() });
export const runParams = z.object({ id: z.string() });
export const taskParams = z.object({ id: z.string(), task: z.string() });

/** What runs are chosen by. */
export const filterFields = {
  status: repeated(runStatus),
  workflow: workflowName.optional(),
  label: repeated(
    z
      .string()
      .regex(/^[\w.-]{1,63}:.{1,200}$/s, 'name:value')
      .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must not hold U+0000 or half of a surrogate pair'),
  ),
  since: z.iso.datetime({ offset: true }).optional(),
};

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
