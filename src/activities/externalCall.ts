import { durationMs } from '../domain/definition/duration.ts';
import type { Bindings } from '../domain/expression/expression.ts';
import type { Json } from '../domain/json.ts';
import { activityRetry, type ActivityRetry } from '../domain/plan/activityRetry.ts';
import { Problem } from '../domain/problem.ts';
import type { ActivityDeps } from './deps.ts';
import { evaluateFields } from './evaluate.ts';
import { readWhole } from './outputs.ts';
import type { CompiledTask } from './plans.ts';

/** What an activity of a user's is called with, and how; times in ms. Stands in the history of the execution that calls it. */
export type ExternalCall = {
  taskQueue: string;
  activity: string;
  args: Json[];
  timeoutMs: number;
  startMs: number;
  heartbeatMs?: number;
  retry: ActivityRetry;
  summary: string;
};

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

/**
 * Evaluates what a task says of the activity that it calls.
 * @throws Problem invalid_task_input, arguments_too_large, task_queue_not_allowed and those of expressions
 */
export async function externalCall(
  deps: Pick<ActivityDeps, 'external' | 'objects'>,
  task: CompiledTask,
  given: { bindings: Bindings; workspace: string },
): Promise<ExternalCall> {
  const { taskQueue, activity, args, heartbeat } = evaluateFields(task, given.bindings);
  const { maxArgs, startMs, mayUse } = deps.external;
  if (!mayUse(text(taskQueue)))
    throw new Problem('task_queue_not_allowed', { detail: `the task queue ${text(taskQueue)} may not be used` });
  const heartbeatMs = heartbeat === undefined ? undefined : durationMs(heartbeat);
  if (heartbeatMs === 0) throw new Problem('invalid_task_input', { detail: 'with.heartbeat must be longer than nothing' });
  const whole = await readWhole(deps.objects, given.workspace, args ?? []);
  const list = Array.isArray(whole) ? whole : [whole];
  const size = Buffer.byteLength(JSON.stringify(list));
  if (size > maxArgs)
    throw new Problem('arguments_too_large', { detail: `the arguments have ${size} bytes, at most ${maxArgs} are allowed` });
  return {
    ...{ taskQueue: text(taskQueue), activity: text(activity), args: list, startMs },
    timeoutMs: task.timeoutMs ?? task.contract.defaultTimeoutMs ?? startMs,
    ...(heartbeatMs !== undefined && { heartbeatMs }),
    retry: activityRetry(task.retry),
    summary: task.id,
  };
}
