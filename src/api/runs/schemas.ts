import { z } from 'zod';
import { RUN_STATUSES, TASK_STATUSES } from '../../domain/plan/outcome.ts';
import { LIMITS } from '../../domain/definition/limits.ts';
import { MODES, STRATEGIES } from '../../domain/plan/plan.ts';
import { PRIORITIES } from '../../domain/run/priority.ts';
import { anyJson, Failure, maybeTime, runIdText, strategyReason, strategyUsed, taskId, text, time, workflowName } from '../schemas.ts';

export const runStatus = z.enum(RUN_STATUSES);
export const taskStatus = z.enum(TASK_STATUSES);
const label = text(200);
const labels = z.record(z.string().regex(/^[\w.-]{1,63}$/), label).refine((value) => Object.keys(value).length <= 50, 'at most 50 labels');

export const countsByStatus = z.object(Object.fromEntries(TASK_STATUSES.map((name) => [name, z.int().optional()])));

export const percent = z.int().min(0).max(100);

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
    projectId: runIdText.nullable().meta({ description: 'The project that it is in' }),
    parent: runIdText.nullable().meta({ description: 'The run that has started it' }),
    failure: Failure.nullable(),
    links: z.object({ self: z.string(), tasks: z.string(), events: z.string(), output: z.string(), temporal: z.string() }),
  })
  .meta({ id: 'Run' });

export const RunResult = Run.extend({ output: anyJson.meta({ description: 'Null unless the run completed' }) }).meta({ id: 'RunResult' });

export const duration = z.union([z.string().max(100), z.record(z.string(), z.number())]);

export const projectName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'a lower-case name: letters, digits and dashes, at most 63')
  .meta({ examples: ['billing'] });

/** What every way to start a run takes, besides its input. */
export const startFields = {
  runId: z
    .uuid()
    .optional()
    .meta({ description: 'A v7 within a day of now becomes the id of the run; any other is an idempotency key only' }),
  priority: z.enum(PRIORITIES).optional(),
  mode: z.enum(MODES).optional().meta({ description: 'Instead of what the definition says' }),
  labels: labels.optional(),
  project: projectName.optional().meta({ description: 'The project that it is in; its members may see to it' }),
  delay: duration.optional().meta({ description: 'Accepted now, begun so much later: `PT10M` or `{ minutes: 10 }`; a year at most' }),
  startAt: z.iso.datetime({ offset: true }).optional().meta({ description: 'Accepted now, not begun before; a year ahead at most' }),
};

/** What is said of the order of its tasks. */
export const orderFields = {
  strategy: z.enum(STRATEGIES).optional().meta({ description: 'Instead of what the definition says' }),
  maxConcurrency: z
    .int()
    .min(1)
    .max(LIMITS.runConcurrency)
    .optional()
    .meta({ description: 'How many of its tasks are at work at once, instead of what the definition says' }),
};

export const definitionFields = {
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
    ...orderFields,
  })
  .refine((body) => (body.definition === undefined) !== (body.workflow === undefined), 'either definition or workflow')
  .meta({ id: 'StartRun' });

export const reason = text(1_000).optional();

export const CancelRun = z
  .strictObject({
    reason,
    force: z.boolean().optional().meta({ description: 'Ends tasks at work too, and leaves out compensations and `finally`' }),
  })
  .optional()
  .meta({ id: 'CancelRun' });

export const runParams = z.object({ id: z.string() });

export const someTasks = z.array(taskId).min(1).max(1_000).optional();
