import { Fault } from './fault.ts';

/** What one evaluation may still use. `units` are sixteenths of a step; `nodes` bound what the results hold. */
export type Meter = { units: number; nodes: number };

export const DEFAULT_STEPS = 100_000;
export const UNITS_PER_STEP = 16;

/** Longest string an expression may make, in UTF-16 units. */
const MAX_TEXT = 8 * 1024 * 1024;
/** Most values (of any depth) that the results of one evaluation may hold. */
const MAX_NODES = 1_000_000;
/** Deepest nesting of a value that an expression compares, prints or makes. */
export const MAX_DEPTH = 500;

// A passed-over failure costs more than a turn: it makes an Error.
const PASSED_OVER = 10 * UNITS_PER_STEP;

export const createMeter = (steps: number): Meter => ({ units: steps * UNITS_PER_STEP, nodes: MAX_NODES });

/** Takes units from the budget. @throws Fault expression_too_costly */
export function spend(meter: Meter, units: number): void {
  meter.units -= units;
  if (meter.units < 0) throw new Fault('expression_too_costly', 'The step budget is used up');
}

export const spendPassedOver = (meter: Meter): void => {
  spend(meter, PASSED_OVER);
};

/** Pays for a string before it is made: one step for 256 characters. @throws Fault expression_too_costly */
export function spendText(meter: Meter, length: number): void {
  if (length > MAX_TEXT) throw new Fault('expression_too_costly', `A string of ${length} characters is too long, the limit is ${MAX_TEXT}`);
  spend(meter, 1 + (length >> 4));
}

/** Counts a value of a result. @throws Fault expression_too_costly */
export function spendNode(meter: Meter): void {
  if (--meter.nodes < 0) throw new Fault('expression_too_costly', `The result holds more than ${MAX_NODES} values`);
}
