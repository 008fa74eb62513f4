import { expect, test } from '@jest/globals';
import type { Statement } from '../../src/db/database.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import { createTakeover } from '../../src/worker/takeover.ts';
import { silent } from './support/aWorker.ts';

/** A worker that stays listed though nothing of it can be had. @returns at which of these times it is taken over */
async function takenOverAt(times: readonly number[], stalled: boolean): Promise<number[]> {
  const world = { now: 0 };
  const taken: number[] = [];
  const answers: Record<string, () => unknown[]> = {
    gone_workers: () => [{ id: 'gone', stalled }],
    release_worker: () => {
      taken.push(world.now);
      return [{ released: true }];
    },
  };
  const takeover = createTakeover({
    db: { rows: <T>({ name }: Statement) => Promise.resolve((answers[name]?.() ?? []) as T[]) },
    ...{ carry: () => Promise.resolve(null), clock: { now: () => world.now }, metrics: createWorkerMetrics(createRegistry()), log: silent },
    ...{ worker: 'self', held: () => true, onTaken: () => undefined, onGone: () => undefined },
  });
  for (const at of times) {
    world.now = at;
    await takeover.look();
  }
  await takeover.stop();
  return [...new Set(taken)];
}

test('an ended worker that is still listed, as a run of it was locked, is taken over again after 200 ms', async () => {
  expect(await takenOverAt([0, 100, 200, 201, 401, 402], false)).toEqual([0, 201, 402]);
});

test('one that is stopped is taken over again after a second: it may go on', async () => {
  expect(await takenOverAt([0, 201, 1_000, 1_001], true)).toEqual([0, 1_001]);
});
