import { expect, test } from '@jest/globals';
import { generationOfUndoing } from '../../../src/domain/plan/cleanup.ts';
import { COMPLETED, FAILED } from '../../../src/domain/plan/outcome.ts';
import { CONTROL, type Graph } from '../../../src/domain/plan/plan.ts';
import { resetOf } from '../../../src/domain/plan/reset.ts';
import { createState, record } from '../../../src/domain/plan/state.ts';

/** A mapped task and what undoes its items. */
const graph: Graph = {
  ...{ names: ['each', 'each.compensate'], kinds: ['http', 'http'], classes: [CONTROL, CONTROL], deps: [[], []], need: [0, 0] },
  ...{ tolerant: [0, 0], failFast: 0, undoes: [0], undoesItems: [0] },
};

function stateOf(own: { seq: number; generation: number }, undoing: { seq: number; generation: number }) {
  const state = createState(graph);
  record(state, { task: 0, outcome: FAILED, ...own });
  record(state, { task: 1, outcome: COMPLETED, ...undoing });
  return state;
}

test('items that were undone run again in a retry; those of a later generation stay', () => {
  expect(resetOf(stateOf({ seq: 3, generation: 0 }, { seq: 5, generation: 0 })).keepItems).toEqual([]);
  expect(resetOf(stateOf({ seq: 3, generation: 0 }, { seq: 9, generation: 1 })).keepItems).toEqual([]);
  expect(resetOf(stateOf({ seq: 8, generation: 1 }, { seq: 5, generation: 0 })).keepItems).toEqual([0]);
  expect(resetOf(stateOf({ seq: 8, generation: 1 }, { seq: 5, generation: 1 })).keepItems).toEqual([0]);
});

test('what was tried to be undone in a generation is tried in the next one', () => {
  expect(generationOfUndoing(createState(graph), 1)).toBe(0);
  expect(generationOfUndoing(stateOf({ seq: 3, generation: 0 }, { seq: 5, generation: 0 }), 1)).toBe(1);
  expect(generationOfUndoing(stateOf({ seq: 8, generation: 4 }, { seq: 5, generation: 1 }), 1)).toBe(4);
});
