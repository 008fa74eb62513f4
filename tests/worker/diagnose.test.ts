import { expect, test } from '@jest/globals';
import type { Execution } from '../../src/temporal/executions.ts';
import { diagnose, repeatedFailure, type Diagnosis } from '../../src/worker/diagnose.ts';

const is = (status: Execution['status'], taskAttempt = 0, activityFailure = ''): Execution => ({
  ...{ status, taskAttempt, activityFailure, untaken: '' },
  temporalRunId: 't',
});

type Case = [name: string, execution: Execution | undefined, because: string, run: { restarts?: number }, expected: Diagnosis];

test.each<Case>([
  ['one that runs', is('RUNNING', 1), '', {}, 'fine'],
  ['one whose workflow task was tried five times', is('RUNNING', 5), '', {}, 'fine'],
  ['one whose workflow task was tried six times', is('RUNNING', 6), '', {}, 'wedged'],
  ['one that is wedged after three restarts', is('RUNNING', 6), '', { restarts: 3 }, 'fault'],
  ['one whose workflow task cannot be read, for want of a key', is('RUNNING', 6), 'payload_key_unknown', {}, 'sealed'],
  ['one that cannot be read however often it was restarted', is('RUNNING', 6), 'payload_not_opened', { restarts: 3 }, 'sealed'],
  ['one that cannot be read while signals keep arriving', is('RUNNING', 1), 'payload_key_unknown', {}, 'sealed'],
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

test('a failure counts once it is there three times, or its task was tried six times', () => {
  expect(repeatedFailure([], 9)).toBe('');
  expect(repeatedFailure(['a', 'b', 'a'], 1)).toBe('');
  expect(repeatedFailure(['a', 'b', 'a', 'a'], 1)).toBe('a');
  expect(repeatedFailure(['a'], 6)).toBe('a');
});
