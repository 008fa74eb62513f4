import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Problem } from '../../src/domain/problem.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';

let engine: Engine;
let full = false;
beforeAll(async () => {
  engine = await anEngine(
    {},
    {
      objects: {
        get: () => Promise.reject(new Problem('unavailable')),
        open: () => Promise.reject(new Problem('unavailable')),
        put: (_workspace, bytes) =>
          full
            ? Promise.reject(new Problem('storage_full'))
            : Promise.resolve({ sha256: 'a'.repeat(64), size: Buffer.isBuffer(bytes) ? bytes.length : 0 }),
      },
    },
  );
});
afterAll(() => engine.close());

const LARGE = 'x'.repeat(100_000);

test.each([
  ['of a task', { a: { type: 'transform', with: { value: LARGE } } }, {}],
  ['of the run', { a: { type: 'transform', with: { value: 1 } } }, { output: { value: LARGE } }],
])('a large output %s that finds the object store full fails nothing and is stored when there is room', async (_, tasks, more) => {
  const runId = await engine.submit(aPlan({ dsl: 'tiu/1', name: 'full', tasks, ...more }));
  full = true;
  await expect(engine.inActivity(engine.activities.loadRun, runId)).rejects.toThrow();
  expect((await engine.state(runId)).status).not.toBe('failed');
  full = false;
  const loaded = await engine.inActivity(engine.activities.loadRun, runId);
  // what is left of a run whose tasks are all recorded is its end
  if ('epoch' in loaded && loaded.closed === null) await engine.inActivity(engine.activities.finishRun, { runId, epoch: loaded.epoch });
  expect((await engine.state(runId)).status).toBe('completed');
});
