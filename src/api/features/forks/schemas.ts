import { z } from 'zod';
import { anyJson, taskId } from '../../schemas.ts';
import { definitionFields, reason, someTasks, startFields } from '../../runs/schemas.ts';

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
    artifactInputs: z.array(z.string()).meta({ description: 'Fields of the input that hold an artifact' }),
    why: z.record(taskId, z.string()).meta({ description: 'Of each task that runs again: the reason' }),
  })
  .meta({ id: 'ForkPreview' });
