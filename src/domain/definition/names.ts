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

/** The candidate nearest to `name` by edits, if near enough to be meant. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const allowed = Math.max(1, Math.floor(name.length / 3));
  let best: string | undefined;
  let bestDistance = allowed + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = edits(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours from one word to another. */
function edits(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Infinity;
  let [before, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min((last?.[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last?.[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before?.[j - 2] ?? 0) + 1);
      row[j] = cost;
    }
    [before, last] = [last, row];
  }
  return last?.[b.length] ?? Infinity;
}

/** A hint naming the nearest candidate, as the rest of an issue. */
export function didYouMean(name: string, candidates: Iterable<string>): { hint?: string } {
  const found = nearest(name, candidates);
  return found === undefined ? {} : { hint: `did you mean "${found}"?` };
}
