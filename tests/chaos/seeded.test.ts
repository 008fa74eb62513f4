import { expect, test } from '@jest/globals';
import { planFaults, DEFAULT_FAULTS } from '../../bench/chaos/faultPlan.ts';
import { markdown } from '../../bench/chaos/report.ts';
import { runChaos } from '../../bench/chaos/runChaos.ts';

const LIMIT_MS = 600_000;

test('a seed determines the faults', () => {
  const options = { kills: 300, kinds: DEFAULT_FAULTS };
  const faults = planFaults({ seed: 1, ...options });
  expect(planFaults({ seed: 1, ...options })).toEqual(faults);
  expect(planFaults({ seed: 2, ...options })).not.toEqual(faults);
  expect(faults.reduce((sum, { kills }) => sum + kills, 0)).toBeGreaterThanOrEqual(300);
  expect(new Set(faults.map(({ kind }) => kind)).size).toBe(DEFAULT_FAULTS.length);
});

test(
  'twenty kills and faults of ten kinds: nothing lost, stuck, done twice or seen out of order',
  async () => {
    const lines: string[] = [];
    const result = await runChaos({
      ...{ seed: 13, minutes: 0.1, kills: 20, lanes: 8 },
      kinds: [...DEFAULT_FAULTS, 'all', 'all'],
      say: (line) => lines.push(line),
    });
    // how soon something succeeded again depends on the machine: `npm run chaos` judges that
    const breaches = result.breaches.filter(({ kind }) => kind !== 'slow');
    expect({ breaches, report: breaches.length === 0 ? '' : `${lines.join('\n')}\n${markdown(result)}` }).toEqual({
      breaches: [],
      report: '',
    });
    expect(result.kills).toBeGreaterThanOrEqual(20);
    expect(Object.keys(result.kinds).length).toBeGreaterThanOrEqual(10);
    expect(result.settledAfter).not.toBeNull();
    expect(Object.keys(result.ended)).toEqual(expect.arrayContaining(['completed', 'failed']));
  },
  LIMIT_MS,
);
