import { expect, test } from '@jest/globals';
import { createRankedQueue } from '../../../src/domain/plan/rankedQueue.ts';
import { aRandom } from '../../support/aGraph.ts';

test('whatever is put in and taken out in between, the lowest rank leaves first', () => {
  const random = aRandom(7);
  for (let round = 0; round < 200; round++) {
    const ranks = Array.from({ length: 60 }, (_, i) => i).sort(() => random() - 0.5);
    const queue = createRankedQueue((task) => ranks[task] ?? 0);
    const model: number[] = [];
    const left: (number | undefined)[] = [];
    for (let task = 0; task < 60; task++) {
      queue.push(task);
      model.push(task);
      if (random() < 0.5) continue;
      model.sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0));
      left.push(queue.first());
      expect(queue.pop()).toBe(model.shift());
      expect(queue.size()).toBe(model.length);
    }
    const rest = Array.from({ length: queue.size() }, () => ranks[queue.pop() ?? 0] ?? 0);
    expect(rest).toEqual([...rest].sort((a, b) => a - b));
    expect(left).not.toContain(undefined);
  }
});

test('an empty one gives nothing, and takes again', () => {
  const queue = createRankedQueue((task) => -task);
  expect([queue.first(), queue.pop(), queue.size()]).toEqual([undefined, undefined, 0]);
  for (const task of [1, 3, 2]) queue.push(task);
  expect([queue.first(), queue.pop(), queue.pop(), queue.pop(), queue.pop()]).toEqual([3, 3, 2, 1, undefined]);
});

test('each of 100,000 that leave looks at a few others, not at all of them', () => {
  let looks = 0;
  const queue = createRankedQueue((task) => {
    looks++;
    return (task * 7_919) % 100_003;
  });
  for (let task = 0; task < 100_000; task++) queue.push(task);
  while (queue.pop() !== undefined);
  expect(looks / 100_000).toBeLessThan(100);
});
