import { Problem } from '../../domain/problem.ts';

/** Alternatives that `{a,b}` of one pattern may make. */
const MAX_ALTERNATIVES = 64;

/**
 * A test of paths against a glob: `*` and `?` within a name, `**` over folders, `[a-z]`, `{a,b}`; names that begin with a
 * dot only by a pattern that says so. Takes time by pattern times path length, whatever the pattern.
 * @throws Problem invalid_task_input when the braces multiply beyond 64
 */
export function compileGlob(pattern: string): (path: string) => boolean {
  const alternatives = expandBraces(pattern.replace(/^(?:\.?\/)+/, '')).map((one) => one.split('/').map(toParts));
  return (path) => {
    const names = path.split('/');
    return alternatives.some((parts) => matchPath(parts, names));
  };
}

function expandBraces(pattern: string): string[] {
  const done: string[] = [];
  const open = [pattern];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const group = /\{([^{}]*,[^{}]*)\}/.exec(next);
    if (group === null) done.push(next);
    else
      for (const choice of (group[1] ?? '').split(','))
        open.push(next.slice(0, group.index) + choice + next.slice(group.index + group[0].length));
    if (open.length + done.length > MAX_ALTERNATIVES)
      throw new Problem('invalid_task_input', { detail: `A glob has more than ${MAX_ALTERNATIVES} alternatives` });
  }
  return done;
}

/** `**`, or what each character of a name must be: a set, `?` (any one) or `*` (any number). */
type Part = '**' | (Set<string> | Ranges | '?' | '*')[];
type Ranges = { not: boolean; ranges: [number, number][] };

function toParts(name: string): Part {
  if (name === '**') return '**';
  const parts: Exclude<Part, '**'> = [];
  for (let at = 0; at < name.length; at += 1) {
    const close = name.charAt(at) === '[' ? name.indexOf(']', at + 2) : -1;
    const char = name.charAt(at);
    if (close > 0) {
      parts.push(toRanges(name.slice(at + 1, close)));
      at = close;
    } else if (char === '*') {
      if (parts.at(-1) !== '*') parts.push('*');
    } else parts.push(char === '?' ? '?' : new Set(char));
  }
  return parts;
}

function toRanges(inside: string): Ranges {
  const not = /^[!^]/.test(inside);
  const ranges = [...inside.slice(not ? 1 : 0).matchAll(/(.)(?:-(.))?/gs)].map(([, from = '', to = from]): [number, number] => [
    from.charCodeAt(0),
    to.charCodeAt(0),
  ]);
  return { not, ranges };
}

/** Greedy with one way back: the last `**` takes one name more. That is enough, as with `*` in a name. */
function matchPath(parts: Part[], names: string[]): boolean {
  return walk(parts.length, names.length, {
    wild: (p) => parts[p] === '**',
    takes: (n) => !(names[n] ?? '').startsWith('.'),
    fits: (p, n) => {
      const part = parts[p];
      return part !== undefined && part !== '**' && matchName(part, names[n] ?? '');
    },
  });
}

function matchName(parts: Exclude<Part, '**'>, name: string): boolean {
  const [first] = parts;
  if (name.startsWith('.') && !(first instanceof Set && first.has('.'))) return false;
  return walk(parts.length, name.length, {
    wild: (p) => parts[p] === '*',
    takes: () => true,
    fits: (p, n) => fitsChar(parts[p], name.charAt(n)),
  });
}

function fitsChar(part: Exclude<Part, '**'>[number] | undefined, char: string): boolean {
  if (part === undefined || part === '*') return false;
  if (part === '?') return true;
  if (part instanceof Set) return part.has(char);
  const code = char.charCodeAt(0);
  return part.ranges.some(([from, to]) => code >= from && code <= to) !== part.not;
}

type Steps = { wild: (p: number) => boolean; takes: (n: number) => boolean; fits: (p: number, n: number) => boolean };

function walk(parts: number, items: number, { wild, takes, fits }: Steps): boolean {
  let p = 0;
  let n = 0;
  let back: { p: number; n: number } | null = null;
  while (n < items) {
    if (p < parts && wild(p)) {
      p += 1;
      back = { p, n };
    } else if (p < parts && fits(p, n)) {
      p += 1;
      n += 1;
    } else if (back !== null && takes(back.n)) {
      back = { p: back.p, n: back.n + 1 };
      ({ p, n } = back);
    } else return false;
  }
  while (p < parts && wild(p)) p += 1;
  return p === parts;
}
