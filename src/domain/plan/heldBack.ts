import { COMPENSATE } from './phases.ts';
import { freePlaces, placed, takesPlace } from './places.ts';
import { RUN, verdict, type GraphState } from './state.ts';
import { inOrder, turnOf } from './turn.ts';

/** A task that has all it depends on and may not begin: every place is taken, or others go first. */
export type HeldBack = {
  task: number;
  why: 'max_concurrency' | 'strategy';
  /** Tasks that it waits for: those that have the places, or the one whose turn it is. */
  by: number[];
  /** Among those that are held back, from 1. */
  position: number;
};

/** What is held back, in the order in which it will begin. @param state whose `busy` holds what is at work or will be tried again */
export function heldBack(state: GraphState): HeldBack[] {
  if (state.phase === COMPENSATE) return [];
  return state.graph.inTurn ? behindTheTurn(state) : withoutPlace(state);
}

const mayBegin = ({ busy, held }: GraphState, task: number): boolean => !busy.has(task) && !held.has(task);

function behindTheTurn(state: GraphState): HeldBack[] {
  const begins = new Set(turnOf(state));
  const [first] = [...state.ready, ...state.waiting].sort((a, b) => a - b);
  const behind = [...state.ready].filter((task) => mayBegin(state, task) && !begins.has(task)).sort((a, b) => a - b);
  return behind.map((task, i) => ({ task, why: 'strategy', by: first === undefined ? [] : [first], position: i + 1 }));
}

function withoutPlace(state: GraphState): HeldBack[] {
  const { graph } = state;
  if (graph.places === undefined) return [];
  const by = [...placed(state)].sort((a, b) => a - b);
  const asking = [...inOrder(state)].filter((task) => mayBegin(state, task) && verdict(state, task) === RUN && takesPlace(graph, task));
  return asking.slice(Math.max(0, freePlaces(state))).map((task, i) => ({ task, why: 'max_concurrency', by, position: i + 1 }));
}
