import { z } from 'zod';
import { PRIORITIES } from '../../../domain/run/priority.ts';
import { listOf, maybeTime, page, runIdText, taskId, time } from '../../schemas.ts';

const reason = z
  .enum(['turn', 'slot', 'concurrency', 'delay', 'no_worker', 'temporal_down'])
  .meta({ description: 'What it waits for: its turn, a run slot, its concurrency key, its time, a worker, Temporal' });

export type QueueReason = z.output<typeof reason>;

const QueuedRun = z
  .object({
    id: runIdText,
    workflow: z.string(),
    position: z.int().meta({ description: 'Place in the queue of the workspace, from 1' }),
    priority: z.enum(PRIORITIES),
    createdAt: time,
    notBefore: maybeTime,
    concurrency: z.object({ key: z.string(), limit: z.int() }).nullable(),
    reason,
  })
  .meta({ id: 'QueuedRun' });
export const Queue = listOf(QueuedRun).meta({ id: 'Queue' });
export const queueQuery = z.strictObject(page);

const attempt = { runId: runIdText, task: z.int().meta({ description: 'Index of the task in its plan' }), item: z.int().nullable() };
export const Limit = z
  .object({
    key: z.string(),
    runs: z
      .object({ holders: z.array(runIdText), queued: z.int() })
      .meta({ description: 'Begun and queued runs with this concurrency key' }),
    concurrency: z.int().nullable().meta({ description: 'Attempts that may be at work at once, as it was last asked for' }),
    rate: z
      .object({ limit: z.int(), perMs: z.int(), tokens: z.int() })
      .nullable()
      .meta({ description: 'tokens: attempts that may begin now' }),
    holders: z.array(z.object({ ...attempt, slot: z.int(), attempt: z.int() })),
    waiting: z.array(z.object({ ...attempt, position: z.int(), sinceAt: time, untilAt: maybeTime })),
  })
  .meta({ id: 'Limit' });
export const explainParams = z.object({ id: z.string() });
export const limitParams = z.object({ key: z.string() });

/** Why a run waits, by code. */
export const CAUSES = [
  ...reason.options,
  'timer',
  'event',
  'approval',
  'child',
  'activity',
  'no_activity_worker',
  'limit',
  'max_concurrency',
  'strategy',
  'retry',
  'circuit',
  'effect',
  'items',
  'command',
  'paused',
  'engine',
] as const;

const Cause = z.object({
  kind: z.enum(CAUSES).meta({ description: 'Code of the reason; docs/limits.md says what each means' }),
  message: z.string().meta({ description: 'For people' }),
  task: taskId.optional(),
  key: z.string().optional(),
  limit: z.int().optional().meta({ description: 'How many may hold at once what is waited for' }),
  position: z.int().optional().meta({
    description: 'In the queue of the workspace, the line of the limit, or among the tasks of the run that are held back, from 1',
  }),
  holders: z.array(runIdText).optional().meta({ description: 'Runs that hold what is waited for, at most 10' }),
  tasks: z.array(taskId).optional().meta({ description: 'Tasks of the run that have its places, or the one whose turn it is, at most 10' }),
  items: z.int().optional().meta({ description: 'Of a mapped task: how many items wait so' }),
  host: z.string().optional().meta({ description: 'Whose circuit is open' }),
  sinceAt: time.optional(),
  untilAt: time.optional(),
  attempt: z.int().optional(),
  code: z.string().optional().meta({ description: 'Of the failure that is tried again' }),
});
export type Cause = z.output<typeof Cause>;
export const Explanation = z
  .object({ runId: runIdText, status: z.string(), waitsFor: z.array(Cause).meta({ description: 'Empty once the run is closed' }) })
  .meta({ id: 'Explanation' });
