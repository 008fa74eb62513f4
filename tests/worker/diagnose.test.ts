import { expect, test } from '@jest/globals';
import type { Execution } from '../../src/temporal/executions.ts';
import { diagnose, type Diagnosis } from '../../src/worker/diagnose.ts';

const is = (status: Execution['status'], taskAttempt = 0, activityFailure = ''): Execution => ({
  ...{ status, taskAttempt, activityFailure },
  temporalRunId: 't',
});

type Case = [
  name: string,
  execution: Execution | undefined,
  because: string,
  run: { restarts?: number; started?: boolean },
  expected: Diagnosis,
];

test.each<Case>([
  ['one that runs', is('RUNNING', 1), '', {}, 'fine'],
  ['one whose workflow task was tried five times', is('RUNNING', 5), '', {}, 'fine'],
  ['one whose workflow task was tried six times', is('RUNNING', 6), '', {}, 'wedged'],
  ['one that is wedged after three restarts', is('RUNNING', 6), '', { restarts: 3 }, 'fault'],
  ['one whose workflow task cannot be read, for want of a key', is('RUNNING', 6), 'payload_key_unknown', {}, 'sealed'],
  ['one that cannot be read however often it was restarted', is('RUNNING', 6), 'payload_not_opened', { restarts: 3 }, 'sealed'],
  ['one whose workflow task could not be read, twice', is('RUNNING', 2), 'payload_key_unknown', {}, 'fine'],
  ['one of which an activity cannot be read', is('RUNNING', 0, 'payload_key_unknown'), '', {}, 'sealed'],
  ['one of which an activity fails otherwise', is('RUNNING', 0, 'Error'), '', {}, 'fine'],
  ['one that Temporal does not know', undefined, '', {}, 'lost'],
  ['one that the server terminated', is('TERMINATED'), 'history-service', {}, 'killed'],
  ['one that we terminated', is('TERMINATED'), 'tiu-w1', {}, 'killed'],
  ['one that somebody terminated', is('TERMINATED'), 'ann@desk', {}, 'operator'],
  ['one that nobody known terminated', is('TERMINATED'), '', {}, 'operator'],
  ['one that completed while its row is open', is('COMPLETED'), '', {}, 'dead'],
  ['one that failed while its row is open', is('FAILED'), '', {}, 'dead'],
  ['one that fails again and again', is('FAILED'), '', { restarts: 3 }, 'fault'],
  ['one that an operator paused in Temporal', is('PAUSED'), '', {}, 'fine'],
])('%s', (...[, execution, because, run, expected]) => {
  expect(diagnose({ restarts: 0, ...run }, execution, because)).toBe(expected);
});
