import { isObject, type Json } from '../json.ts';
import { type Code, type Context, type Run, type RunOptional, findLocal, optionalCode, sourceOf } from './code.ts';
import { failed, failedLater } from './fault.ts';
import { nearest } from './nearest.ts';
import type { Node } from './parse.ts';
import { type Step, addReference } from './reference.ts';
import { describe, own } from './value.ts';

type AccessNode = Extract<Node, { op: '.' | '.?' | '[]' | '[?]' }>;

export const isAccess = (node: Node): node is AccessNode => node.op === '.' || node.op === '.?' || node.op === '[]' || node.op === '[?]';

type Link = { node: AccessNode; optional: boolean; key: Run; constant: string | number | undefined };

function linkOf(node: AccessNode, context: Context): Link {
  const optional = node.op === '.?' || node.op === '[?]';
  const right = node.args[1];
  if (typeof right === 'string') return { node, optional, key: () => right, constant: right };
  const { run, literal } = context.compile(right, context);
  return { node, optional, key: run, constant: typeof literal === 'string' || typeof literal === 'number' ? literal : undefined };
}

/** The element or property, or undefined when there is none. Nothing inherited, no `length`. */
export function lookUp(container: Json, key: Json): Json | undefined {
  if (Array.isArray(container)) return typeof key === 'number' ? container[key] : undefined;
  return isObject(container) && typeof key === 'string' ? own(container, key) : undefined;
}

const JAVASCRIPT: Readonly<Record<string, string>> = { length: 'size(…)' };

function missing(container: Json, key: Json, source: string): string {
  if (Array.isArray(container)) {
    if (typeof key === 'number') return `${source} has no element ${key}: it has ${container.length} (from 0)`;
    const hint = typeof key === 'string' && JAVASCRIPT[key] !== undefined ? `; use ${JAVASCRIPT[key]}` : '';
    return `${source} is an array, it has no field${typeof key === 'string' ? ` '${key}'` : 's'}${hint}`;
  }
  if (!isObject(container)) {
    const hint =
      typeof key === 'string' && JAVASCRIPT[key] !== undefined && typeof container === 'string' ? `; use ${JAVASCRIPT[key]}` : '';
    return `${source} is ${describe(container)}, it has no ${typeof key === 'string' ? `field '${key}'` : 'elements'}${hint}`;
  }
  if (typeof key !== 'string') return `A field name is a string, not ${describe(key)}`;
  const near = nearest(key, Object.keys(container));
  return `${source} has no field '${key}'${near === undefined ? `; if it may be missing write .?${key}` : `, did you mean '${near}'?`}`;
}

/** A value is there and is not null: what a step past `.?` goes on with. */
function stepOptional(object: RunOptional, link: Link): RunOptional {
  const { key } = link;
  return (frame) => {
    const container = object(frame);
    return container === undefined || container === null ? undefined : lookUp(container, key(frame));
  };
}

function stepStrict(object: Run, link: Link, source: string): Run {
  const { key, constant, node } = link;
  if (typeof constant !== 'string') {
    return (frame) => {
      const container = object(frame);
      const name = key(frame);
      const value = lookUp(container, name);
      if (value === undefined) throw failedLater(() => missing(container, name, source), node.pos);
      return value;
    };
  }
  return (frame) => {
    const container = object(frame);
    if (isObject(container) && Object.hasOwn(container, constant)) {
      const value = container[constant];
      if (value !== undefined) return value;
    }
    throw failedLater(() => missing(container, constant, source), node.pos);
  };
}

/** Unwinds `a.b[c]` to its base `a` and its links, outermost last. A loop: chains may be long. */
function unwind(node: Node, context: Context): { base: Node; links: Link[] } {
  const links: Link[] = [];
  let base = node;
  while (isAccess(base)) {
    links.push(linkOf(base, context));
    base = base.args[0];
  }
  return { base, links: links.reverse() };
}

function compileBase(base: Node, links: Link[], context: Context): Code {
  if (base.op !== 'id') return context.compile(base, context);
  const local = findLocal(context, base.args);
  if (local !== undefined) return localCode(local);
  const steps: Step[] = links.map((link) => ({ constant: link.constant, at: link.node.pos, optional: link.optional }));
  if (!addReference(base, steps, context)) return { run: () => null };
  return { run: rootRun(base.args, base.pos) };
}

function localCode(local: { slot: number; optional: boolean }): Code {
  const { slot, optional } = local;
  if (optional) return optionalCode((frame) => frame.locals[slot]);
  return { run: (frame) => frame.locals[slot] ?? null };
}

function rootRun(name: string, at: number): Run {
  return (frame) => {
    const value = own(frame.bindings, name);
    if (value === undefined) throw failed(`'${name}' has no value here`, at);
    return value;
  };
}

/** Compiles a name, or a chain of fields and indexes. With `lenient` every step may be missing, as `has()` wants it. */
export function compileAccess(node: Node, context: Context, lenient = false): Code {
  const { base, links } = unwind(node, context);
  let code = compileBase(base, links, context);
  for (const link of links) {
    if (lenient || link.optional || code.optional !== undefined) code = optionalCode(stepOptional(code.optional ?? code.run, link));
    else code = { run: stepStrict(code.run, link, sourceOf(context, link.node.args[0])) };
  }
  return code;
}
