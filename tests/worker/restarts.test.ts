import { expect, test } from '@jest/globals';
import type { BegunRow } from '../../src/db/dispatch.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import type { RunHead } from '../../src/temporal/executions.ts';
import { createRestarts } from '../../src/worker/restarts.ts';
import type { TakenRun } from '../../src/worker/takeover.ts';
import { createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { silent } from './support/aWorker.ts';

const aTaken = (runId: string, ended: TakenRun['ended'], more: { fresh?: true; mode?: string } = {}): TakenRun => {
  const { mode = 'standard', ...rest } = more;
  const run = { runId, workspace: 'w', definition: 'd', title: null, parent: null, priority: 0, total: 1, mode } as BegunRow;
  return { run, ended, ...rest };
};

function restarts(taken: TakenRun[]) {
  const clock = { now: () => 0 };
  const unfinished = createUnfinishedStarts({ clock, onRoom: () => undefined }, { max: 2, claimMs: 100 });
  const [restarted, late]: [string[], unknown[]] = [[], []];
  const made = createRestarts({
    executions: {
      restart: (run: RunHead) => {
        restarted.push(run.runId);
        return Promise.resolve();
      },
    },
    takeover: { taken, busy: () => false },
    ...{ unfinished, clock, metrics: createWorkerMetrics(createRegistry()), log: silent },
    late: { add: ({ run, ...rest }) => void late.push([run.runId, rest]) },
    temporalUp: () => true,
    onTemporal: () => undefined,
  });
  /** Until what was kicked is done. */
  const round = async () => {
    made.kick();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { ...made, unfinished, restarted, late, round };
}

test('executions of taken runs that are over are put off and take no room from those that go on', async () => {
  const taken = [
    aTaken('ended', 'completed'),
    aTaken('failed', 'failed'),
    aTaken('fresh', 'completed', { fresh: true }),
    aTaken('express', 'completed', { mode: 'express' }),
    aTaken('on', null),
  ];
  const { pending, unfinished, restarted, late, round, stop } = restarts(taken);
  expect(pending()).toBe(true);
  await round();
  expect(restarted).toEqual(['on']);
  expect(late).toEqual([
    ['ended', { completed: true, replaces: true }],
    ['failed', { completed: false, replaces: true }],
    ['fresh', { completed: true }],
  ]);
  expect([unfinished.room(), pending(), taken]).toEqual([1, false, []]);
  await stop();
});

test('runs that go on are started anew as many at once as there is room for', async () => {
  const { pending, unfinished, restarted, round, stop } = restarts(['a', 'b', 'c'].map((runId) => aTaken(runId, null)));
  await round();
  expect([restarted, pending()]).toEqual([['a', 'b'], true]);
  unfinished.done('a');
  await round();
  expect([restarted, pending()]).toEqual([['a', 'b', 'c'], false]);
  await stop();
});
