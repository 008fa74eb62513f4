import type { Json } from '../json.ts';
import { Problem } from '../problem.ts';
import type { Frame } from './code.ts';
import type { Bindings } from './expression.ts';
import { Fault } from './fault.ts';
import { createMeter } from './meter.ts';

/** An expression as it stands in a template: for messages. */
export type Source = { text: string; pointer: string };

const MAX_QUOTED = 200;

function problemOf(error: unknown, { text, pointer }: Source): Problem {
  if (error instanceof Problem) return error;
  const quoted = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  const fault = error instanceof Fault ? error : new Fault('expression_failed', 'The value is nested too deeply');
  const place = fault.offset === undefined ? '' : `, at offset ${fault.offset}`;
  return new Problem(fault.code, {
    detail: `${fault.explain?.() ?? fault.message} (in ${quoted.trim()}${place})`,
    data: { expression: quoted, pointer, ...(fault.offset === undefined ? {} : { offset: fault.offset }) },
  });
}

/** A run whose failures are Problems that name the expression. */
export function withSource<T>(source: Source, run: (frame: Frame) => T): (frame: Frame) => T {
  return (frame) => {
    try {
      return run(frame);
    } catch (error) {
      throw problemOf(error, source);
    }
  };
}

const createFrame = (bindings: Bindings, steps: number): Frame => ({ bindings, locals: [], meter: createMeter(steps) });

/** Evaluates in a fresh frame; whatever is thrown is a Problem. */
export function evaluateIn(run: (frame: Frame) => Json, steps: number): (bindings: Bindings) => Json {
  return (bindings) => run(createFrame(bindings, steps));
}
