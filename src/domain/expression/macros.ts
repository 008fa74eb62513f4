import { isObject, type Json, type JsonObject } from '../json.ts';
import { compileAccess, isAccess, lookUp } from './access.ts';
import { type Code, type Context, type Frame, type Run, refuse, withLocal } from './code.ts';
import { failed, isPassable, located } from './fault.ts';
import { groupInto, sortByKeys } from './library/order.ts';
import { type Meter, spend, spendPassedOver, UNITS_PER_STEP } from './meter.ts';
import type { Node } from './parse.ts';
import { describe, sortedKeys } from './value.ts';

/** The call as written, receiver first. */
type MacroCall = { node: Node; args: readonly Node[] };

/** A compiled loop: the elements, and how to evaluate a part of the body for one of them. */
type Loop = { items: (frame: Frame) => readonly Json[]; slot: number; body: Run; then: Run | undefined; units: number; at: number };

type Macro = { usage: string; parts: readonly number[]; run: (loop: Loop, order: Run | undefined) => Run };

function elementsOf(value: Json, meter: Meter, at: number): readonly Json[] {
  if (Array.isArray(value)) return value;
  if (isObject(value)) return sortedKeys(value, meter);
  throw failed(`A macro goes through an array or the keys of an object, not ${describe(value)}`, at);
}

function enter(loop: Loop, frame: Frame, element: Json): void {
  spend(frame.meter, loop.units);
  frame.locals[loop.slot] = element;
}

function isTrue(value: Json, at: number): boolean {
  if (typeof value === 'boolean') return value;
  throw failed(`The condition needs true or false, got ${describe(value)}`, at);
}

const map = (loop: Loop): Run => {
  const { then } = loop;
  return (frame) => {
    const out: Json[] = [];
    for (const element of loop.items(frame)) {
      enter(loop, frame, element);
      if (then === undefined) out.push(loop.body(frame));
      else if (isTrue(loop.body(frame), loop.at)) out.push(then(frame));
    }
    return out;
  };
};

const filter = (loop: Loop): Run => {
  return (frame) => {
    const out: Json[] = [];
    for (const element of loop.items(frame)) {
      enter(loop, frame, element);
      if (isTrue(loop.body(frame), loop.at)) out.push(element);
    }
    return out;
  };
};

/** `exists` (decided by true) and `all` (decided by false): a deciding element wins over failures of others, before or after it. */
const quantifier =
  (decisive: boolean) =>
  (loop: Loop): Run => {
    const decides = (frame: Frame, element: Json): boolean => {
      enter(loop, frame, element);
      return isTrue(loop.body(frame), loop.at) === decisive;
    };
    return (frame) => {
      let failure: Error | undefined;
      for (const element of loop.items(frame)) {
        try {
          if (decides(frame, element)) return decisive;
        } catch (error) {
          if (!isPassable(error)) throw error;
          spendPassedOver(frame.meter);
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
      return !decisive;
    };
  };

const existsOne = (loop: Loop): Run => {
  return (frame) => {
    let count = 0;
    for (const element of loop.items(frame)) {
      enter(loop, frame, element);
      if (isTrue(loop.body(frame), loop.at)) count++;
    }
    return count === 1;
  };
};

function keysOf(loop: Loop, frame: Frame, elements: readonly Json[]): Json[] {
  return elements.map((element) => {
    enter(loop, frame, element);
    return loop.body(frame);
  });
}

const sortBy = (loop: Loop, order: Run | undefined): Run => {
  return (frame) => {
    const elements = loop.items(frame);
    const keys = keysOf(loop, frame, elements);
    return sortByKeys({ elements, keys, order: order?.(frame) ?? 'asc' }, frame.meter);
  };
};

const groupBy = (loop: Loop): Run => {
  return (frame): JsonObject => {
    const elements = loop.items(frame);
    return groupInto(elements, keysOf(loop, frame, elements));
  };
};

/** Macros: a name and one or two expressions of it, evaluated per element. `parts` are the numbers of arguments after the receiver. */
export const MACROS: Readonly<Record<string, Macro>> = {
  map: { usage: 'xs.map(x, value) or xs.map(x, condition, value)', parts: [2, 3], run: map },
  filter: { usage: 'xs.filter(x, condition)', parts: [2], run: filter },
  all: { usage: 'xs.all(x, condition)', parts: [2], run: quantifier(false) },
  exists: { usage: 'xs.exists(x, condition)', parts: [2], run: quantifier(true) },
  exists_one: { usage: 'xs.exists_one(x, condition)', parts: [2], run: existsOne },
  sortBy: { usage: "xs.sortBy('field'), xs.sortBy(x, key), either with 'desc' after it", parts: [1, 2, 3], run: sortBy },
  groupBy: { usage: "xs.groupBy('field') or xs.groupBy(x, key)", parts: [1, 2], run: groupBy },
};

const hasFieldForm = (name: string): boolean => name === 'sortBy' || name === 'groupBy';

export const isMacro = (name: string, args: readonly Node[]): boolean => Object.hasOwn(MACROS, name) && args.length > 0;

/** `'field'` in place of a name and an expression: the key is that field, or null where it is missing. */
function fieldKey(field: Run, slot: number, at: number): Run {
  return (frame) => {
    const name = field(frame);
    if (typeof name !== 'string') throw failed(`A field name is a string, not ${describe(name)}`, at);
    return lookUp(frame.locals[slot] ?? null, name) ?? null;
  };
}

function loopOf(name: string, call: MacroCall, context: Context): { loop: Loop; order: Run | undefined } | undefined {
  const [receiver, first, second, third] = call.args;
  if (receiver === undefined || first === undefined) return undefined;
  const collection = context.compile(receiver, context).run;
  const items = (frame: Frame): readonly Json[] => elementsOf(collection(frame), frame.meter, receiver.pos);
  const before = context.shared.nodes;
  const unitsSince = (): number => UNITS_PER_STEP + context.shared.nodes - before;
  const at = second?.pos ?? first.pos;
  if (hasFieldForm(name) && (first.op !== 'id' || second === undefined)) {
    if (third !== undefined) return undefined;
    const { slot } = withLocal(context, '');
    const body = fieldKey(context.compile(first, context).run, slot, first.pos);
    const order = second === undefined ? undefined : context.compile(second, context).run;
    return { loop: { items, slot, body, then: undefined, units: unitsSince(), at }, order };
  }
  if (first.op !== 'id' || second === undefined) return undefined;
  const { slot, inner } = withLocal(context, first.args);
  const body = context.compile(second, inner).run;
  const last = third === undefined ? undefined : context.compile(third, inner).run;
  return { loop: { items, slot, body, then: last, units: unitsSince(), at }, order: last };
}

export function compileMacro(name: string, call: MacroCall, context: Context): Code {
  const macro = MACROS[name];
  const built = macro?.parts.includes(call.args.length - 1) === true ? loopOf(name, call, context) : undefined;
  if (macro === undefined || built === undefined) {
    return refuse(context, call.node.pos, { code: 'wrong_arguments', message: `${name}() is written ${macro?.usage ?? ''}` });
  }
  const run = macro.run(built.loop, built.order);
  return {
    run: (frame) => {
      try {
        return run(frame);
      } catch (error) {
        throw located(error, call.node.pos);
      }
    },
  };
}

/** `has(a.b.c)`: true when every part of the path is there (a last null counts as there). */
export function compileHas(node: Node, args: readonly Node[], context: Context): Code {
  const [path] = args;
  if (args.length !== 1 || path === undefined || !isAccess(path)) {
    return refuse(context, node.pos, { code: 'wrong_arguments', message: 'has() takes a path with a field: has(input.name)' });
  }
  const { optional } = compileAccess(path, context, true);
  return { run: (frame) => optional?.(frame) !== undefined };
}
