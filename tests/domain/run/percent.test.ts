import { expect, test } from '@jest/globals';
import { advance, newProgress, percentDone } from '../../../src/cli/progress.ts';
import { fold } from '../../../src/domain/run/fold.ts';
import { percentOf, percentOfView, weightOf } from '../../../src/domain/run/percent.ts';
import type { RunView } from '../../../src/domain/run/view.ts';
import { aPlan } from '../../support/anEngine.ts';
import { aRandom } from '../../support/aGraph.ts';
import { aRandomLog, type RandomLog } from '../../support/aLog.ts';

/** The percentage after each event of a log, as the view and as the command line have it. */
function percentages({ plan, events }: RandomLog): { view: RunView; type: string; seen: number; shown: number }[] {
  const weights = new Map(plan.graph.names.map((name, i) => [name, weightOf(plan, i)]));
  const progress = newProgress();
  let view: RunView | undefined;
  return events.map((event) => {
    view = fold([event], view);
    advance(progress, event);
    return { view, type: event.type, seen: percentOfView(plan, view), shown: percentDone(progress, weights) };
  });
}

/** What is wrong with the percentages of a log, in words. */
function faultsOf(log: ReturnType<typeof percentages>): string[] {
  let before = 0;
  let opens = false;
  return log.flatMap(({ view, type, seen, shown }) => {
    opens = type === 'run.reopened' || (opens && type === 'task.pending'); // a new progress
    const faults = [
      ...(seen < before && !opens ? [`fell from ${before}`] : []),
      ...(seen > 100 || !Number.isInteger(seen) ? ['is no percentage'] : []),
      ...((seen === 100) !== (view.status === 'completed') ? [`while the run is ${view.status}`] : []),
      ...(seen !== shown ? [`the command line shows ${shown}`] : []),
    ];
    before = seen;
    return faults.map((fault) => `event ${view.lastSeq}: ${seen} ${fault}`);
  });
}

test('over 2,000 random logs it falls at a retry alone, never passes 100, and is 100 exactly when the run has completed', () => {
  const ends: Record<string, number> = {};
  let partly = 0;
  let fell = 0;
  for (let seed = 1; seed <= 2_000; seed++) {
    const log = percentages(aRandomLog(aRandom(seed)));
    expect({ seed, faults: faultsOf(log) }).toEqual({ seed, faults: [] });
    const status = log.at(-1)?.view.status ?? '';
    ends[status] = (ends[status] ?? 0) + 1;
    partly += log.filter(({ seen }) => seen > 0 && seen < 100).length;
    fell += Number(log.some(({ seen }, i) => seen < (log[i - 1]?.seen ?? 0)));
  }
  // the logs are of every sort
  expect(Math.min(ends.completed ?? 0, ends.failed ?? 0, ends.cancelled ?? 0)).toBeGreaterThan(100);
  expect(partly).toBeGreaterThan(5_000);
  expect(fell).toBeGreaterThan(50);
});

const text = { type: 'transform', with: { value: 1 } };
const call = { type: 'http', with: { url: 'https://example.org/' } };

test('what touches the outside, waits or is mapped weighs ten times what is computed', () => {
  const plan = aPlan({
    dsl: 'tiu/1',
    name: 'weights',
    tasks: {
      a: text,
      b: call,
      c: { type: 'wait', with: { for: 'PT1S' } },
      d: { ...text, map: { items: [1] } },
      e: { ...call, map: { items: [1] } },
    },
  });
  expect(plan.tasks.map((_, i) => weightOf(plan, i))).toEqual([1, 10, 10, 10, 10]);
});

test('items of a mapped task count once they are known, those that failed do not', () => {
  const weight = 10;
  const run = (done: number) =>
    percentOf('running', [
      { weight, status: 'completed' },
      { weight, status: 'waiting', items: { total: 8, done } },
    ]);
  expect([0, 2, 8].map(run)).toEqual([50, 62, 99]);
  expect(percentOf('running', [{ weight, status: 'waiting' }])).toBe(0);
  expect(percentOf('running', [{ weight, status: 'waiting', items: { total: 0, done: 0 } }])).toBe(0);
  expect(percentOf('running', [{ weight, status: 'failed', items: { total: 4, done: 1 } }])).toBe(25);
});

test('what failed, was cancelled or blocked counts for nothing, so trying it again lowers nothing', () => {
  const of = (status: string) =>
    percentOf('running', [
      { weight: 1, status },
      { weight: 1, status: 'completed' },
    ]);
  expect(['failed', 'timed_out', 'cancelled', 'blocked', 'pending', 'retrying'].map(of)).toEqual([50, 50, 50, 50, 50, 50]);
  expect(of('skipped')).toBe(99);
  expect(percentOf('failed', [{ weight: 1, status: 'completed' }])).toBe(99);
  expect(percentOf('queued', [])).toBe(0);
});
