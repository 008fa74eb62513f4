import { defineSearchAttributeKey } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { local } from './activities.ts';

/** Temporal's own: the time that the schedule names, without jitter. */
const scheduledStartTime = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

/**
 * What a Temporal schedule starts: says that a time has come. Which times of the schedule have no run yet is decided from
 * its rows, so a fire that comes twice, late or for nothing does no harm.
 */
export async function fire({ scheduleId }: { scheduleId: string }): Promise<void> {
  const { typedSearchAttributes, startTime } = workflowInfo();
  const at = typedSearchAttributes.get(scheduledStartTime) ?? startTime;
  await local.fireSchedule.executeWithOptions({ summary: 'fire schedule' }, [scheduleId, at.getTime()]);
}
