import { expect, test } from '@jest/globals';
import { createClock } from './clock.ts';

test('what a stopped process was to do is done when it goes on, unless it is taken back by then', () => {
  const clock = createClock();
  const done: string[] = [];
  const takeBack = clock.after(1, () => done.push('taken back'), 1);
  clock.after(1, () => done.push('late'), 1);
  clock.setStanding(1, 'stopped');
  clock.after(2, () => done.push('of another'), 2);
  while (clock.step());
  expect(done).toEqual(['of another']);
  clock.setStanding(1, 'alive');
  takeBack();
  while (clock.step());
  expect(done).toEqual(['of another', 'late']);
});
