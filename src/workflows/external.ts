import { ApplicationFailure, CancellationScope, CancelledFailure } from '@temporalio/workflow';
import type { ExternalEnd, ExternalId } from '../activities/external.ts';
import { local } from './activities.ts';
import { callActivity } from './callActivity.ts';

/**
 * Calls an activity of a user's for a task that waits for it in the database, and records what it came to. Only the call
 * is cancelled: how it ended is recorded all the same.
 */
export async function external(id: ExternalId): Promise<void> {
  const calling = new CancellationScope(); // of the root, so that a cancel of this execution reaches it
  await CancellationScope.nonCancellable(async () => {
    const call = await local.loadExternal.executeWithOptions({ summary: 'load arguments' }, [id]);
    if ('over' in call) return;
    const { end, output } = await calling.run(() => callActivity(call));
    await local.endExternal.executeWithOptions({ summary: `record: ${end.status}` }, output === undefined ? [id, end] : [id, end, output]);
    show(end);
  });
}

/** The end of the execution, for people who look at Temporal. @throws CancelledFailure, ApplicationFailure with the code */
function show(end: ExternalEnd): void {
  if (end.status === 'completed') return;
  if (end.status === 'cancelled') throw new CancelledFailure('cancelled');
  const failure = ApplicationFailure.nonRetryable(end.failure.code, end.failure.code);
  failure.stack = ''; // else it shows file paths
  throw failure;
}
