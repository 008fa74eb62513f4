import { z } from 'zod';
import { STRATEGIES } from '../../../domain/plan/plan.ts';
import { batchOf, entries, ownKey } from '../../runs/batchSchemas.ts';
import { duration, reason, Run, runStatus, startFields } from '../../runs/schemas.ts';
import { listOf, page, repeated, text } from '../../schemas.ts';

export const CreateTask = z
  .strictObject({
    name: text(200),
    description: text(1_000).optional(),
    type: text(100).meta({ description: 'A kind of task: `http`, `transform`, …' }),
    with: z.record(z.string(), z.unknown()).optional().meta({ description: 'What the kind wants, as in a definition' }),
    timeout: duration.optional().meta({ description: 'Of one attempt; kinds that touch the outside only' }),
    deadline: duration.optional().meta({ description: 'Of the task with its retries' }),
    retry: z
      .union([z.record(z.string(), z.unknown()), z.string()])
      .optional()
      .meta({ description: 'As in a definition: `{ limit: 3 }`' }),
    strategy: z.enum(STRATEGIES).optional().meta({ description: 'As of a definition; one task begins the same way under each' }),
    dependencies: z.array(z.unknown()).max(0, 'tasks that depend on others are a workflow: start a run of a definition').optional(),
    ...startFields,
  })
  .meta({ id: 'CreateTask' });

/** Of commands that need no more. */
export const CommandTask = z.strictObject({ reason }).optional().meta({ id: 'CommandTask' });

export const BatchTask = CreateTask.safeExtend({ idempotencyKey: ownKey }).meta({ id: 'BatchTask' });
export const CreateTasks = z.strictObject({ tasks: entries(BatchTask) }).meta({ id: 'CreateTasks' });

export const TaskRun = Run.extend({
  name: z.string(),
  description: z.string().nullable(),
  type: z.string(),
  output: z.unknown().optional().meta({ description: 'Null unless it completed, or if it has more than 8 MB; left out in lists' }),
  links: Run.shape.links.extend({ task: z.string() }),
}).meta({ id: 'TaskRun', description: 'A run of one task' });
export const TaskRunList = listOf(TaskRun).meta({ id: 'TaskRunList' });
export const TaskBatch = batchOf(TaskRun).meta({ id: 'TaskBatch' });

export const listTasksQuery = z.strictObject({
  ...page,
  status: repeated(runStatus),
  type: text(100).optional(),
  sort: z.enum(['-createdAt']).default('-createdAt'),
});
