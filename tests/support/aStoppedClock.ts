import { beforeEach } from '@jest/globals';

/** Ms since the epoch, that stand still in each test but for what it puts them `ahead`: no limit of time is reached because a machine is busy. */
export function aStoppedClock(): { now: () => number; ahead: number } {
  let at = Date.now();
  const clock = { now: () => at + clock.ahead, ahead: 0 };
  beforeEach(() => {
    at = Date.now();
    clock.ahead = 0;
  });
  return clock;
}
