import { z } from 'zod';
import { BULK_TYPES } from '../../../db/commands.ts';
import { BULK_STATUSES } from '../../../db/repositories/bulk.ts';
import { listOf, maybeTime, page, time } from '../../schemas.ts';
import { filterFields } from '../../runs/filterRuns.ts';
import { reason, runStatus } from '../../runs/schemas.ts';

const force = z.boolean().optional().meta({ description: 'With `cancel`: as the single command has it' });

export const StartBulk = z
  .strictObject({
    filter: z
      .strictObject(filterFields)
      .refine(
        ({ status, workflow, label, since, project }) =>
          status.length + label.length > 0 || [workflow, since, project].some((one) => one !== undefined),
        'names nothing: a status, workflow, label, project or time has to choose the runs',
      )
      .meta({ description: 'As in the list of runs; all of it must hold' }),
    command: z
      .strictObject({ type: z.enum(BULK_TYPES), reason, force })
      .refine((command) => command.force === undefined || command.type === 'cancel', 'force goes with cancel'),
    preview: z.literal(true).optional().meta({ description: 'Only counts the runs' }),
  })
  .meta({ id: 'StartBulk' });

export const BulkCount = z
  .object({
    count: z.int(),
    more: z.boolean().meta({ description: 'There are more than `count`, which is as far as they are counted (`TIU_MAX_BULK_COUNT`)' }),
  })
  .meta({ id: 'BulkCount' });

export const BulkJob = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    status: z.enum(BULK_STATUSES),
    command: z.object({ type: z.enum(BULK_TYPES), force: z.boolean(), reason: z.string().nullable() }),
    filter: z.object({
      status: z.array(runStatus),
      workflow: z.string().nullable(),
      label: z.array(z.string()),
      since: maybeTime,
      project: z.string().nullable(),
    }),
    count: z.int().meta({ description: 'Runs that the filter found when the job was accepted' }),
    more: z.boolean().meta({ description: 'There were more than were counted' }),
    done: z.int().meta({ description: 'Runs that were given the command: it was applied or refused' }),
    applied: z.int(),
    refused: z
      .record(z.string(), z.int())
      .meta({ description: 'How many refused the command, by the code that the single command answers with' }),
    createdAt: time,
    createdBy: z.string(),
    finishedAt: maybeTime,
    links: z.object({ self: z.string(), abort: z.string() }),
  })
  .meta({ id: 'BulkJob' });
export const BulkJobList = listOf(BulkJob).meta({ id: 'BulkJobList' });

export const bulkParams = z.object({ id: z.string() });
export const bulkQuery = z.strictObject(page);
