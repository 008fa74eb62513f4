import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Statement } from '../../src/db/database.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import type { Execution } from '../../src/temporal/executions.ts';
import { TemporalUnreachable } from '../../src/temporal/failures.ts';
import { createLateEnds } from '../../src/worker/lateEnds.ts';
import { silent } from './support/aWorker.ts';

const row = (runId: string, asked = 0) => ({
  runId,
  workspace: 'w',
  definition: 'd',
  title: null,
  parent: null,
  priority: 0,
  total: 1,
  asked,
});

/** Late ends over a database whose next answers are given, and what they ask for. */
function lateEnds(
  answers: object[][],
  { poke, executions = {} }: { poke?: () => Promise<void>; executions?: Record<string, Execution> } = {},
) {
  const world = { up: true, idle: -Infinity as number | undefined };
  const asked: string[] = [];
  const deps = {
    db: {
      rows: <R extends object>({ name, values }: Statement) => {
        asked.push(`${name} ${String(values[0])}`);
        return Promise.resolve((name === 'claim_unshown' ? (answers.shift() ?? []) : []) as R[]);
      },
    },
    executions: {
      poke: poke ?? (({ runId }: { runId: string }) => Promise.resolve(void asked.push(`poke ${runId}`))),
      describe: (workflowId: string) => Promise.resolve(executions[workflowId]),
      terminate: ({ workflowId, temporalRunId }: { workflowId: string; temporalRunId: string }) =>
        Promise.resolve(void asked.push(`terminate ${workflowId} ${temporalRunId}`)),
    },
    ...{ clock: systemClock, log: silent, metrics: createWorkerMetrics(createRegistry()) },
    temporalUp: () => world.up,
    onTemporal: (up: boolean) => void (world.up = up),
    idleSince: () => world.idle,
  };
  const made = createLateEnds(deps);
  const claims = () => asked.filter((what) => what.startsWith('claim')).length;
  return { ...made, world, asked, claims };
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('a few are told at once where no run is being begun, one where some are; more while those are on their way', async () => {
  const { world, asked, claims, stop } = lateEnds([[row('a'), row('b')], [row('c')]]);
  await jest.advanceTimersByTimeAsync(1);
  expect(asked).toEqual(['claim_unshown 4', 'poke a', 'poke b']);
  world.idle = undefined;
  await jest.advanceTimersByTimeAsync(50);
  expect(asked.slice(3)).toEqual(['claim_unshown 1', 'poke c']);
  await jest.advanceTimersByTimeAsync(248);
  expect(claims()).toBe(2);
  await jest.advanceTimersByTimeAsync(1);
  expect(claims()).toBe(3);
  await stop();
});

test('where there is nothing to tell, it looks once a second, and not at all when it has been stopped', async () => {
  const { claims, stop } = lateEnds([]);
  await jest.advanceTimersByTimeAsync(3_500);
  expect(claims()).toBe(4);
  await stop();
  await jest.advanceTimersByTimeAsync(5_000);
  expect(claims()).toBe(4);
});

test('who has begun a run a moment ago is not quiet', async () => {
  const { world, asked, stop } = lateEnds([]);
  world.idle = Date.now() + 1_001 - 249;
  await jest.advanceTimersByTimeAsync(1_001);
  expect(asked).toEqual(['claim_unshown 4', 'claim_unshown 1']);
  await stop();
});

test('while Temporal is away nothing is claimed', async () => {
  const { world, claims, stop } = lateEnds([[row('a')]], { poke: () => Promise.reject(new TemporalUnreachable()) });
  await jest.advanceTimersByTimeAsync(5_000);
  expect([world.up, claims()]).toEqual([false, 1]);
  world.up = true;
  await jest.advanceTimersByTimeAsync(1_000);
  expect(claims()).toBeGreaterThan(1);
  await stop();
});

test('an execution that does not learn of it is terminated in the end; one that is gone is forgotten', async () => {
  const is = (status: Execution['status']): Execution => ({ status, temporalRunId: 't', taskAttempt: 0, activityFailure: '', untaken: '' });
  const { asked, stop } = lateEnds([[row('a', 5), row('b', 5), row('c', 9), row('d', 4)]], {
    executions: { 'run/a': is('RUNNING'), 'run/b': is('CANCELLED') },
  });
  await jest.advanceTimersByTimeAsync(1);
  expect(asked.slice(1).sort()).toEqual(['forget_unshown a', 'forget_unshown b', 'forget_unshown c', 'poke d', 'terminate run/a t']);
  await stop();
});
