import { expect, test } from '@jest/globals';
import { createTurns } from '../../src/domain/turns.ts';

function turns(burst: number, everyMs: number) {
  const clock = { at: 1_000, now: () => clock.at };
  return { clock, ...createTurns(clock, { burst, everyMs }) };
}

test('a few turns come at once, the next ones an interval apart', () => {
  const { clock, untilNext, take } = turns(2, 10);
  for (let i = 0; i < 2; i++) {
    expect(untilNext()).toBe(0);
    take();
  }
  expect(untilNext()).toBe(10);
  clock.at += 9;
  expect(untilNext()).toBeCloseTo(1);
  clock.at += 1;
  expect(untilNext()).toBe(0);
  take();
  expect(untilNext()).toBe(10);
});

test('a pause earns no more than the few', () => {
  const { clock, untilNext, take } = turns(2, 10);
  clock.at += 60_000;
  untilNext();
  take();
  take();
  expect(untilNext()).toBe(10);
});

test('a clock that is set back costs no more than an interval', () => {
  const { clock, untilNext, take } = turns(1, 10);
  take();
  clock.at -= 3_600_000;
  expect(untilNext()).toBe(10);
  clock.at += 10;
  expect(untilNext()).toBe(0);
});
