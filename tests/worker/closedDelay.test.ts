import { expect, jest, test } from '@jest/globals';
import type { Statement } from '../../src/db/database.ts';
import { createDispatcher, type DispatcherDeps } from '../../src/worker/dispatcher.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import { createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { silent } from './support/aWorker.ts';

/** A dispatcher over a database in which there is never anything to do, and what it asks of it. */
function aDispatcher(closedDelayMs: number) {
  const asked: string[] = [];
  const never = () => Promise.reject(new Error('there is nothing to do'));
  const deps: DispatcherDeps = {
    db: {
      rows: ({ name }: Statement) => {
        asked.push(name);
        return Promise.resolve([]);
      },
    },
    executions: { start: never, restart: never, poke: never, cancel: never, startSlice: never },
    children: { look: () => Promise.resolve(false), settle: () => Promise.resolve(false) },
    externals: { look: () => Promise.resolve(false) },
    ...{ carry: never, isInline: never },
    unfinished: createUnfinishedStarts({ clock: systemClock, onRoom: () => undefined }, { max: 1, claimMs: 5_000 }),
    late: { add: () => undefined, room: () => true, workspaces: () => [] },
    metrics: createWorkerMetrics(createRegistry({ worker: 'w' })),
    ...{ log: silent, worker: 'w', clock: systemClock, onTemporal: () => undefined, temporalUp: () => true },
    ...{ maxRuns: 1, maxPoked: 1, closedDelayMs },
  };
  return { dispatcher: createDispatcher(deps), asked };
}

test.each([0, 25, 900])('ends of runs within %d ms share one look for who waited for them', async (delayMs) => {
  jest.useFakeTimers();
  const { dispatcher, asked } = aDispatcher(delayMs);
  try {
    dispatcher.kick('closed');
    dispatcher.kick('closed');
    if (delayMs > 0) await jest.advanceTimersByTimeAsync(delayMs - 1);
    expect(asked).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(asked.filter((name) => name === 'admit')).toEqual(['admit']);
  } finally {
    await dispatcher.stop();
    jest.useRealTimers();
  }
});
