import type { Json } from '../../json.ts';
import type { Meter } from '../meter.ts';

/** A function of the library: pure, pays for what it reads and makes. `arity` counts the receiver of `x.f(a)` as the first argument. */
export type LibraryFunction = {
  usage: string;
  arity: readonly [least: number, most: number];
  call: (args: readonly Json[], meter: Meter) => Json;
};
