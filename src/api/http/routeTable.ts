export type Found<T> = { route: T; params: Record<string, string> };

type Entry<T> = { route: T; parts: readonly string[]; names: readonly (string | undefined)[] };

/**
 * Finds a route by method and path without trying every pattern: by its whole path, else among those of as many segments, in their
 * order. A parameter, `{name}`, is a whole segment and never empty.
 * @returns undefined when there is none
 */
export function createRouteTable<T extends { method: string; path: string }>(
  routes: readonly T[],
): (method: string, path: string) => Found<T> | undefined {
  const fixed = new Map<string, Found<T>>();
  const patterns = new Map<string, Entry<T>[]>();
  for (const route of routes) {
    const method = route.method.toUpperCase();
    const parts = route.path.split('/');
    const names = parts.map((part) => /^\{(\w+)\}$/.exec(part)?.[1]);
    const key = `${method} ${parts.length}`;
    if (names.every((name) => name === undefined)) fixed.set(`${method} ${route.path}`, { route, params: {} });
    else patterns.set(key, [...(patterns.get(key) ?? []), { route, parts, names }]);
  }
  return (method, path) => {
    const known = fixed.get(`${method} ${path}`);
    if (known) return known;
    const parts = path.split('/');
    for (const entry of patterns.get(`${method} ${parts.length}`) ?? [])
      if (fits(entry, parts)) return { route: entry.route, params: paramsOf(entry, parts) };
    return undefined;
  };
}

function fits({ parts, names }: Entry<unknown>, given: readonly string[]): boolean {
  for (let i = 0; i < parts.length; i++) if (names[i] === undefined ? parts[i] !== given[i] : given[i] === '') return false;
  return true;
}

function paramsOf({ names }: Entry<unknown>, given: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  for (const [i, name] of names.entries()) if (name !== undefined) params[name] = decodeURIComponent(given[i] ?? '');
  return params;
}
