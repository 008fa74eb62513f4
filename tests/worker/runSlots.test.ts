import { expect, test } from '@jest/globals';
import type { QueryResultRow } from 'pg';
import { createRunSlots } from '../../src/worker/runSlots.ts';

/** Slots over a worker with so many busy runs, as the database says when it is asked. */
function someSlots(max: number) {
  const state = { now: 0, busy: 0, asked: 0 };
  const rows = <R extends QueryResultRow>() => {
    state.asked += 1;
    return Promise.resolve([{ n: state.busy }] as unknown as R[]);
  };
  return { state, slots: createRunSlots({ db: { rows }, worker: 'w', clock: { now: () => state.now } }, max) };
}

test('while there is room it counts once in 250 ms', async () => {
  const { state, slots } = someSlots(100);
  expect(await slots.room(8)).toBe(8);
  slots.taken(8);
  state.now = 249;
  expect([await slots.room(8), state.asked]).toEqual([8, 1]);
  state.now = 250;
  expect([await slots.room(8), state.asked]).toEqual([8, 2]);
});

test('what was begun takes of the room, no more are begun than there is, and where there is none it is counted each time', async () => {
  const { state, slots } = someSlots(10);
  state.busy = 7;
  expect(await slots.room(8)).toBe(3);
  slots.taken(3);
  state.busy = 10;
  expect([await slots.room(1), state.asked]).toEqual([0, 2]);
  state.busy = 9;
  expect([await slots.room(1), state.asked]).toEqual([1, 3]);
});
