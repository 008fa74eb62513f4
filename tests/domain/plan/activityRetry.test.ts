import { expect, test } from '@jest/globals';
import { activityRetry, isForTemporal } from '../../../src/domain/plan/activityRetry.ts';

const policy = { limit: 4, delayMs: 500, backoff: 2, maxDelayMs: 60_000, jitter: 0.2 };
const TIMEOUTS = ['TemporalTimeout:StartToClose', 'TemporalTimeout:Heartbeat'];
const once = { maximumAttempts: 1, initialInterval: 1_000, backoffCoefficient: 1, maximumInterval: 1_000 };

test('a policy becomes one of Temporal, which counts attempts and not tries after the first', () => {
  expect(activityRetry(policy)).toEqual({
    ...{ maximumAttempts: 5, initialInterval: 500, backoffCoefficient: 2, maximumInterval: 60_000 },
    nonRetryableErrorTypes: [],
  });
});

test('without a policy, or with no try after the first, an attempt is final', () => {
  expect(activityRetry(undefined)).toEqual({ ...once, nonRetryableErrorTypes: TIMEOUTS });
  expect(activityRetry({ ...policy, limit: 0 }).maximumAttempts).toBe(1);
});

test('no delay is the shortest that Temporal has, for 0 would be its default', () => {
  expect(activityRetry({ ...policy, delayMs: 0, maxDelayMs: 0 })).toMatchObject({ initialInterval: 1, maximumInterval: 1 });
});

test.each([
  [{ except: ['task_timed_out'] }, 5],
  [{ codes: ['activity_failed'] }, 5],
  [{ codes: ['task_timed_out'] }, 1],
  [{ except: ['activity_failed'] }, 1],
])('timeouts are final with %j', (choice, maximumAttempts) => {
  expect(activityRetry({ ...policy, ...choice })).toMatchObject({
    maximumAttempts,
    nonRetryableErrorTypes: maximumAttempts === 5 ? TIMEOUTS : [],
  });
});

test.each([
  [{}, true],
  [{ codes: ['activity_failed', 'task_timed_out'] }, true],
  [{ except: ['task_timed_out'] }, true],
  [{ except: ['activity_failed', 'task_timed_out'] }, true],
  [{ codes: ['task_timed_out'] }, false],
  [{ except: ['activity_failed'] }, false],
  [{ codes: ['activity_failed', 'no_worker'] }, false],
])('whether %j can be told to Temporal: %s', (choice, expected) => {
  expect(isForTemporal(choice)).toBe(expected);
});
