import { expect, test } from '@jest/globals';
import { taskQueueRule } from '../../src/worker/taskQueues.ts';

const rule = (TIU_ACTIVITY_QUEUES: string) => taskQueueRule({ TIU_ACTIVITY_QUEUES, TIU_TASK_QUEUE: 'tiu' });

test.each([
  ['*', 'billing', true],
  ['*', 'tiu', false],
  ['tiu', 'tiu', false],
  ['billing, ship-*', 'billing', true],
  ['billing, ship-*', 'ship-eu', true],
  ['billing, ship-*', 'billing-eu', false],
  ['', 'billing', false],
])('with %j, %s may be used: %s', (setting, taskQueue, expected) => {
  expect(rule(setting)(taskQueue)).toBe(expected);
});
