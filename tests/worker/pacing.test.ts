import { expect, jest, test } from '@jest/globals';
import type { Statement } from '../../src/db/database.ts';
import { createDispatcher, type DispatcherDeps } from '../../src/worker/dispatcher.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import { createUnfinishedStarts } from '../../src/worker/unfinishedStarts.ts';
import { silent } from './support/aWorker.ts';

type Fake = { answers?: Record<string, object[]>; poke?: () => Promise<void>; cancel?: () => Promise<void>; onBulk?: () => void };

/** A dispatcher over a database in which there is nothing to do but what is given, and what it asks of it. */
function aDispatcher(closedDelayMs: number, { answers = {}, poke, cancel, onBulk = () => undefined }: Fake = {}) {
  const asked: string[] = [];
  const never = () => Promise.reject(new Error('there is nothing to do'));
  const deps: DispatcherDeps = {
    db: {
      rows: <R extends object>({ name }: Statement) => {
        asked.push(name);
        return Promise.resolve((answers[name] ?? []) as R[]);
      },
    },
    executions: { start: never, restart: never, poke: poke ?? never, cancel: cancel ?? never, startSlice: never },
    children: { look: () => Promise.resolve(false), settle: () => Promise.resolve(false) },
    externals: { look: () => Promise.resolve(false) },
    ...{ carry: never, isInline: never },
    unfinished: createUnfinishedStarts({ clock: systemClock, onRoom: () => undefined }, { max: 1, claimMs: 5_000 }),
    late: { add: () => undefined, room: () => true, workspaces: () => [] },
    metrics: createWorkerMetrics(createRegistry({ worker: 'w' })),
    ...{ log: silent, worker: 'w', clock: systemClock, onTemporal: () => undefined, temporalUp: () => true },
    ...{ maxRuns: 1, maxPoked: 1, closedDelayMs, onBulk },
  };
  return { dispatcher: createDispatcher(deps), asked };
}

test.each([0, 25, 900])('ends of runs within %d ms share one look for who waited for them', async (delayMs) => {
  jest.useFakeTimers();
  const { dispatcher, asked } = aDispatcher(delayMs);
  try {
    dispatcher.kick('closed');
    dispatcher.kick('closed');
    if (delayMs > 0) await jest.advanceTimersByTimeAsync(delayMs - 1);
    expect(asked).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(asked.filter((name) => name === 'admit')).toEqual(['admit']);
  } finally {
    await dispatcher.stop();
    jest.useRealTimers();
  }
});

test('a notice of a bulk job reaches those who take it further, and nobody else', async () => {
  const onBulk = jest.fn();
  const { dispatcher, asked } = aDispatcher(0, { onBulk });
  dispatcher.kick('bulk');
  await dispatcher.stop();
  expect([onBulk.mock.calls.length, asked]).toEqual([1, []]);
});

const head = (i: number) => ({ runId: `r${i}`, workspace: 'w', definition: 'd', title: null, parent: null, priority: 0, total: 1 });

test('very many are told a hundred at a time, however often somebody asks for it', async () => {
  jest.useFakeTimers();
  const claim_untold = Array.from({ length: 100 }, (_, i) => ({ ...head(i), claim: 'c' }));
  const { dispatcher, asked } = aDispatcher(0, { answers: { claim_untold }, poke: () => Promise.resolve() });
  const claims = () => asked.filter((name) => name === 'claim_untold').length;
  try {
    for (let i = 0; i < 10; i++) {
      dispatcher.kick('command');
      await jest.advanceTimersByTimeAsync(40);
    }
    expect(claims()).toBe(1);
    await jest.advanceTimersByTimeAsync(100);
    expect(claims()).toBe(2);
    expect(asked.filter((name) => name === 'told')).toHaveLength(2);
  } finally {
    await dispatcher.stop();
    jest.useRealTimers();
  }
});

test('whoever was asked to cancel gets no signal besides; while runs end because they were told, others are told', async () => {
  jest.useFakeTimers();
  const sent: string[] = [];
  const answers: Fake['answers'] = { claim_ending: [head(1), head(2)], claim_cancels: [{ run: 'r1' }] };
  const { dispatcher, asked } = aDispatcher(25, {
    answers,
    cancel: () => Promise.resolve(void sent.push('cancel')),
    poke: () => Promise.resolve(void sent.push('poke')),
  });
  const claims = () => asked.filter((name) => name === 'claim_ending').length;
  try {
    dispatcher.kick('closed');
    await jest.advanceTimersByTimeAsync(25);
    expect([claims(), sent]).toEqual([0, []]); // nobody was told anything: who ends makes no room
    dispatcher.kick('command');
    await jest.advanceTimersByTimeAsync(1);
    expect([claims(), sent]).toEqual([1, ['cancel', 'poke']]);
    dispatcher.kick('closed');
    await jest.advanceTimersByTimeAsync(25);
    expect(claims()).toBe(2);
  } finally {
    await dispatcher.stop();
    jest.useRealTimers();
  }
});
