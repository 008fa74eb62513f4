import { nearest } from '../expression/nearest.ts';

/** Names every object inherits: a workflow type or a binding of such a name would find the inherited one. */
export const isInherited = (name: string): boolean => name in Object.prototype;

/** Of a definition; also the Temporal workflow type of its runs. No dots, so none is like `tiu.mapSlice`. */
export const DEFINITION_NAME = /^[a-z][a-z0-9-]{0,62}$/;

/** Of a task: what an expression can name after `tasks.`. */
export const TASK_ID = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;

const KEYWORDS = new Set(['true', 'false', 'null', 'in']);
const RESERVED = new Set(
  ['as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package', 'namespace'].concat([
    'return',
    'var',
    'void',
    'while',
  ]),
);
const ROOTS = new Set(['input', 'tasks', 'run', 'index', 'secrets', 'dyn', 'size', 'type']);

/** Why a task may not be called so, or undefined. */
export const taskIdFault = (id: string): string | undefined =>
  KEYWORDS.has(id) || isInherited(id) ? `"${id}" is a word of the language` : undefined;

/** Why the element of a map may not be called so, or undefined. */
export const itemNameFault = (name: string): string | undefined =>
  KEYWORDS.has(name) || RESERVED.has(name) || ROOTS.has(name) || isInherited(name)
    ? `"${name}" already means something in expressions`
    : undefined;

/** A hint naming the nearest candidate, as the rest of an issue. */
export function didYouMean(name: string, candidates: Iterable<string>): { hint?: string } {
  const found = nearest(name, candidates);
  return found === undefined ? {} : { hint: `did you mean "${found}"?` };
}
