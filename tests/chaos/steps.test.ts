import { expect, test } from '@jest/globals';
import { planSteps, runSteps } from '../../bench/chaos/steps/runSteps.ts';
import { STEPS } from '../../bench/chaos/steps/scenes.ts';

const LIMIT_MS = 300_000;

test('a plan of steps is of all scenes, and has each step when there is room', () => {
  const few = planSteps({ seed: 3, kills: 12 });
  expect(few).toHaveLength(12);
  expect(new Set(few.map(({ scene }) => scene)).size).toBe(4);
  expect(planSteps({ seed: 3, kills: 12 })).toEqual(few);
  expect(new Set(planSteps({ seed: 3, kills: 200 })).size).toBe(STEPS.length);
});

test(
  'kill -9 at named steps of compensation, fork, retry and approval: the run ends as it has to, and nothing that was done is done again',
  async () => {
    const { kills, breaches, scenes } = await runSteps({ seed: 3, kills: 12 });
    expect(breaches).toEqual([]);
    expect({ kills, scenes: Object.keys(scenes).sort() }).toEqual({ kills: 12, scenes: ['approval', 'compensation', 'fork', 'retry'] });
  },
  LIMIT_MS,
);
