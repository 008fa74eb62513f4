import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { ExternalEnd } from '../activities/external.ts';
import type { ExternalCall } from '../activities/externalCall.ts';
import type { Json } from '../domain/json.ts';
import { Problem, type Failure } from '../domain/problem.ts';

/** Characters of a failure's message that are kept. */
const MAX_MESSAGE = 2_000;

type Called = (...args: Json[]) => Promise<Json | Uint8Array>;

/** Calls an activity of a user's on the user's task queue. Never throws. A cancel waits until the activity has ended. */
export async function callActivity(call: ExternalCall): Promise<{ end: ExternalEnd; output?: Json | Uint8Array }> {
  try {
    const activities = proxyActivities<Record<string, Called>>({
      taskQueue: call.taskQueue,
      startToCloseTimeout: call.timeoutMs,
      scheduleToStartTimeout: call.startMs,
      ...(call.heartbeatMs !== undefined && { heartbeatTimeout: call.heartbeatMs }),
      retry: call.retry,
      cancellationType: 'WAIT_CANCELLATION_COMPLETED',
      allowEagerDispatch: false,
      summary: call.summary,
    });
    const activity = activities[call.activity] as Called;
    return { end: { status: 'completed' }, output: await activity(...call.args) };
  } catch (error) {
    return { end: endOf(error, CancellationScope.current().consideredCancelled) };
  }
}

function endOf(error: unknown, isAsked: boolean): ExternalEnd {
  if (isAsked && isCancellation(error)) return { status: 'cancelled', failure: new Problem('task_cancelled').toFailure() };
  const cause: unknown = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) return endOfTime(cause);
  return { status: 'failed', failure: failureOf(cause) };
}

function endOfTime({ timeoutType }: TimeoutFailure): ExternalEnd {
  if (timeoutType === 'SCHEDULE_TO_START') return { status: 'failed', failure: new Problem('no_worker').toFailure() };
  const options = timeoutType === 'HEARTBEAT' ? { detail: 'No heartbeat came in time' } : {};
  return { status: 'timed_out', failure: new Problem('task_timed_out', options).toFailure() };
}

/** What the user's code said, without its stack. */
function failureOf(cause: unknown): Failure {
  const message = cause instanceof Error ? cause.message : String(cause);
  const type = cause instanceof ApplicationFailure ? cause.type : cause instanceof Error ? cause.name : undefined;
  return { code: 'activity_failed', message: message.slice(0, MAX_MESSAGE), data: { type: (type ?? 'Error').slice(0, MAX_MESSAGE) } };
}
