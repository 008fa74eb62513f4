import { expect, jest, test } from '@jest/globals';
import { createPace } from '../../src/worker/pace.ts';

/** Rounds that find so many runs, one after the other. @returns ms at which each came */
async function rounds(found: readonly number[], before?: (round: number, pace: ReturnType<typeof createPace>) => void): Promise<number[]> {
  jest.useFakeTimers({ now: 0 });
  try {
    const pace = createPace({ now: () => Date.now() });
    const came: number[] = [];
    for (const [round, runs] of found.entries()) {
      before?.(round, pace);
      const turn = pace.next().then(() => came.push(Date.now()));
      await jest.advanceTimersByTimeAsync(0);
      while (came.length <= round) await jest.advanceTimersToNextTimerAsync();
      await turn;
      pace.found(runs);
    }
    return came;
  } finally {
    jest.useRealTimers();
  }
}

test('rounds that find something come 25 ms apart after four, while nobody is known to wait', async () => {
  expect(await rounds([1, 1, 1, 1, 1, 1])).toEqual([0, 0, 0, 0, 25, 50]);
});

test('rounds that find nothing cost no turn', async () => {
  expect(await rounds([1, 1, 1, 0, 0, 0])).toEqual([0, 0, 0, 0, 0, 0]);
});

test('while somebody waits, those that find one run come at once, and those that find several 10 ms apart after four', async () => {
  const tell = (round: number, pace: ReturnType<typeof createPace>) => {
    if (round === 0) pace.awaited();
  };
  expect(await rounds([1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2], tell)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20]);
});

test('whoever comes to wait ends the wait of the round that is due', async () => {
  jest.useFakeTimers({ now: 0 });
  try {
    const pace = createPace({ now: () => Date.now() });
    for (let i = 0; i < 4; i++) pace.found(1);
    let came = false;
    void pace.next().then(() => (came = true));
    await jest.advanceTimersByTimeAsync(3);
    expect(came).toBe(false);
    pace.awaited();
    await jest.advanceTimersByTimeAsync(0);
    expect(came).toBe(true);
  } finally {
    jest.useRealTimers();
  }
});

test('that somebody waited is forgotten after 200 ms', async () => {
  jest.useFakeTimers({ now: 0 });
  try {
    const pace = createPace({ now: () => Date.now() });
    for (let i = 0; i < 40; i++) pace.found(1); // all that there is, and more
    pace.awaited();
    await jest.advanceTimersByTimeAsync(199);
    await pace.next();
    await jest.advanceTimersByTimeAsync(1);
    let came = false;
    void pace.next().then(() => (came = true));
    await jest.advanceTimersByTimeAsync(0);
    expect(came).toBe(false);
  } finally {
    jest.useRealTimers();
  }
});
