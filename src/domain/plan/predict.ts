import { CONTROL, EFFECT, type Plan } from './plan.ts';

/** What a run of a plan will take, as far as the plan tells: items of maps are known only when it runs. */
export type Prediction = {
  tasks: number;
  effects: number;
  waits: number;
  maps: number;
  /** The most tasks with equally many before them. */
  width: number;
  /** The most tasks one after the other. */
  depth: number;
  /** Events in the run's Temporal history without retries; a run continues as new long before Temporal's limit. */
  temporalEvents: number;
};

/** Kinds that only wait. */
const WAITING_KINDS: ReadonlySet<string> = new Set(['wait', 'event', 'approval', 'workflow', 'activity']);

/** Start, first workflow task, loading, finishing, end. */
const RUN_EVENTS = 8;
/** Scheduled, started, completed, and the workflow task that takes note (three of its own). */
const EFFECT_EVENTS = 6;
/** A timer's start and end, and the workflow task after it. */
const WAIT_EVENTS = 5;
/** A poke and the workflow task after it, and the read of what changed. */
const MAP_EVENTS = 5;

export function predict(plan: Plan): Prediction {
  const { classes, deps, kinds } = plan.graph;
  const levels: number[] = [];
  const widths: number[] = [];
  for (const edges of deps) {
    const level = edges.reduce((most, [from]) => Math.max(most, (levels[from] ?? 0) + 1), 0);
    levels.push(level);
    widths[level] = (widths[level] ?? 0) + 1;
  }
  const effects = classes.filter((each) => each === EFFECT).length;
  const waits = kinds.filter((kind) => WAITING_KINDS.has(kind)).length;
  const mappedEffects = classes.filter((each) => each === CONTROL).length - waits;
  return {
    tasks: classes.length,
    effects: effects + mappedEffects,
    waits,
    maps: plan.tasks.filter(({ map }) => map !== undefined).length,
    width: widths.reduce((most, width) => Math.max(most, width), 0),
    depth: widths.length,
    temporalEvents: RUN_EVENTS + EFFECT_EVENTS * effects + WAIT_EVENTS * waits + MAP_EVENTS * mappedEffects,
  };
}
