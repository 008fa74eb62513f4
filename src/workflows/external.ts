import { ApplicationFailure, CancellationScope, CancelledFailure, continueAsNew, isCancellation, sleep } from '@temporalio/workflow';
import type { ExternalEnd, ExternalId } from '../activities/external.ts';
import type { ExternalCall } from '../activities/externalCall.ts';
import { Problem } from '../domain/problem.ts';
import { local } from './activities.ts';
import { callActivity } from './callActivity.ts';

/**
 * Calls an activity of a user's for a task that waits for it in the database, and records what it came to. Only the call
 * is cancelled: how it ended is recorded all the same.
 */
export async function external(id: ExternalId): Promise<void> {
  const calling = new CancellationScope(); // of the root, so that a cancel of this execution reaches it
  await CancellationScope.nonCancellable(async () => {
    const call = await load(id, calling);
    if ('over' in call) return;
    const { end, output } = 'cancelled' in call ? CANCELLED : await calling.run(() => callActivity(call));
    await local.endExternal.executeWithOptions({ summary: `record: ${end.status}` }, output === undefined ? [id, end] : [id, end, output]);
    show(end);
  });
}

/** So many times it asks for its turn in one history. */
const MAX_ASKED = 500;
const CANCELLED = { end: { status: 'cancelled', failure: new Problem('task_cancelled').toFailure() } as const, output: undefined };

/** What it is called with, once its limits let it: until then it stands in a line, and may be cancelled there. */
async function load(id: ExternalId, calling: CancellationScope): Promise<ExternalCall | { over: true } | { cancelled: true }> {
  for (let asked = 0; asked < MAX_ASKED; asked++) {
    const call = await local.loadExternal.executeWithOptions({ summary: 'load arguments' }, [id]);
    if (!('retryInMs' in call)) return call;
    const { retryInMs } = call;
    try {
      await calling.run(() => sleep(retryInMs));
    } catch (error) {
      if (isCancellation(error)) return { cancelled: true };
      throw error;
    }
  }
  return continueAsNew<typeof external>(id);
}

/** The end of the execution, for people who look at Temporal. @throws CancelledFailure, ApplicationFailure with the code */
function show(end: ExternalEnd): void {
  if (end.status === 'completed') return;
  if (end.status === 'cancelled') throw new CancelledFailure('cancelled');
  const failure = ApplicationFailure.nonRetryable(end.failure.code, end.failure.code);
  failure.stack = ''; // else it shows file paths
  throw failure;
}
