import type { RunRows, Tables, WaitRow } from './tables.ts';

const DAY_MS = 86_400_000;
const LEFT_MS = 2_000;

const placeOf = (workspace: string, id: string): string => `${workspace} ${id}`;

type StoreArgs = readonly [
  workspace: string,
  id: string,
  name: string,
  key: string,
  payload: string,
  by: string,
  audit: string,
  days: number,
];

export function store(tables: Tables, [workspace, id, name, key, payload, , , days]: StoreArgs): object[] {
  const known = tables.events.get(placeOf(workspace, id));
  const at = tables.now();
  if (!known) {
    tables.events.set(placeOf(workspace, id), { id, workspace, name, key, payload, at, expires: at + days * DAY_MS, taken: null });
    return [{ outcome: 'new', at: new Date(at).toISOString() }];
  }
  const isSame = known.name === name && known.key === key && known.payload === payload;
  return [{ outcome: isSame ? 'same' : 'other', at: new Date(known.at).toISOString() }];
}

export const has = (tables: Tables, [workspace, id]: readonly [string, string]): object[] =>
  tables.events.has(placeOf(workspace, id)) ? [{}] : [];

type Waiting = { rows: RunRows; wait: WaitRow };

/** Who waits for an event. */
function waitingFor(tables: Tables, { workspace, name, key }: { workspace: string; name: string; key: string }): Waiting[] {
  return [...tables.runs.values()]
    .filter(({ state }) => state.workspace === workspace && state.finished === null)
    .flatMap((rows) => [...rows.waits.values()].map((wait) => ({ rows, wait })))
    .filter(({ wait }) => {
      if (wait.kind !== 'event' || wait.closed || wait.decision !== null) return false;
      const of = JSON.parse(wait.data ?? '{}') as { name?: string; key?: string };
      return of.name === name && of.key === key;
    });
}

const untaken = ({ events, now }: Tables) => [...events.values()].filter(({ taken, expires }) => taken === null && expires > now());

/** Nobody asks for a schema here, so the oldest that nobody has taken goes to all who wait. */
export function give(tables: Tables, [workspace, name, key]: readonly [string, string, string]): object[] {
  const [oldest] = untaken(tables)
    .filter((event) => event.workspace === workspace && event.name === name && event.key === key)
    .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  const found = oldest ? waitingFor(tables, oldest) : [];
  if (!oldest || found.length === 0) return [];
  for (const { rows, wait } of found) {
    Object.assign(wait, { decision: 'completed', output: oldest.payload });
    tables.untold.set(rows.state.run, { pokeAfter: null });
  }
  oldest.taken = tables.now();
  return [{ runs: [...new Set(found.map(({ rows }) => rows.state.run))].sort(), id: null, payload: null, schemas: null }];
}

/** Those that somebody waits for, and whoever should have given them has died. */
export function left(tables: Tables): object[] {
  return untaken(tables)
    .filter((event) => event.at < tables.now() - LEFT_MS && waitingFor(tables, event).length > 0)
    .map(({ workspace, name, key }) => ({ workspace, name, key }));
}
