import { expect, jest, test } from '@jest/globals';
import { createAwaited } from '../../src/api/realtime/awaited.ts';
import type { RunView } from '../../src/db/repositories/runs.ts';

/** Who comes to wait when. @returns ms at which workers were told */
async function toldAt(waits: readonly [at: number, run: string][], touched: Record<string, number> = {}): Promise<number[]> {
  jest.useFakeTimers({ now: 0, doNotFake: [] });
  try {
    const start = performance.now();
    const at = () => performance.now() - start;
    const told: number[] = [];
    const untouched = {
      get: (run: string) => (run in touched && at() < (touched[run] ?? 0) ? ({ id: run, status: 'queued' } as RunView) : undefined),
    };
    const awaited = createAwaited({ untouched, tell: () => void told.push(at()) });
    for (const [ms, run] of waits) {
      await jest.advanceTimersByTimeAsync(ms - at());
      awaited(run);
    }
    await jest.advanceTimersByTimeAsync(1_000);
    return told;
  } finally {
    jest.useRealTimers();
  }
}

test('a run that was accepted here and begins within 5 ms is worth no word', async () => {
  expect(await toldAt([[0, 'a']], { a: 5 })).toEqual([]);
  expect(await toldAt([[0, 'a']], { a: 6 })).toEqual([5]);
});

test('a queued run that another process has accepted is spoken of', async () => {
  expect(await toldAt([[0, 'a']])).toEqual([5]);
});

test('many who wait are one word in 50 ms', async () => {
  expect(await toldAt(Array.from({ length: 100 }, (_, i) => [i, 'a']))).toEqual([5, 55]);
});
