import { headOf } from './dispatch.ts';
import type { RunRows, Tables } from './tables.ts';

const SOON_MS = 3_000;

/** What a session of a worker that begins writes; its lock lasts as long as it does. */
export function openSession(tables: Tables, worker: string): void {
  const now = tables.now();
  tables.locks.add(worker);
  tables.workers.set(worker, { session: now, seen: now });
}

export function report(tables: Tables, [worker]: readonly [string]): object[] {
  const known = tables.workers.get(worker);
  if (known) known.seen = tables.now();
  else tables.workers.set(worker, { session: null, seen: tables.now() });
  return [];
}

export function goneWorkers(tables: Tables, [self, stallMs, graceMs]: readonly [string, number | null, number]): object[] {
  const now = tables.now();
  const gone: object[] = [];
  for (const [id, { session, seen }] of [...tables.workers].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (id === self || session === null) continue;
    if (!tables.locks.has(id)) {
      if (session >= tables.servingSince || now >= tables.servingSince + graceMs) gone.push({ id, stalled: false });
    } else if (stallMs !== null && seen < now - stallMs) gone.push({ id, stalled: true });
  }
  return gone;
}

function mayTake(tables: Tables, worker: string, stallMs: number | null): boolean {
  if (stallMs === null) return !tables.locks.has(worker);
  const known = tables.workers.get(worker);
  return known !== undefined && known.seen < tables.now() - stallMs;
}

function onlyWaits({ state, waits }: RunRows, now: number): boolean {
  if (state.status !== 'waiting' || state.commandSeq > state.appliedSeq || state.intent !== null) return false;
  return ![...waits.values()].some(
    ({ closed, decision, until }) => !closed && (decision !== null || (until !== null && until < now + SOON_MS)),
  );
}

const ownedBy = (tables: Tables, owner: string): RunRows[] =>
  [...tables.runs.values()]
    .filter(({ state }) => state.owner === owner && state.started !== null && state.finished === null)
    .sort((a, b) => (a.state.run < b.state.run ? -1 : 1));

const ENDED_MS = 180_000;

export function endedRuns(tables: Tables, [, worker, limit]: readonly [string, string, number]): object[] {
  const now = tables.now();
  return [...tables.runs.values()]
    .filter(
      ({ state, mode }) =>
        mode === 'standard' && state.owner === worker && state.started !== null && (state.finished ?? 0) > now - ENDED_MS,
    )
    .slice(0, limit)
    .map((rows) => ({ ...headOf(rows), completed: rows.state.status === 'completed' }));
}

type Reclaim = readonly [dead: string, worker: string, n: number, claimMs: number, stallMs: number | null];

export function reclaimRuns(tables: Tables, [dead, worker, n, claimMs, stallMs]: Reclaim): object[] {
  if (!mayTake(tables, dead, stallMs)) return [];
  const now = tables.now();
  const runs = ownedBy(tables, dead).filter((rows) => !onlyWaits(rows, now));
  return runs.slice(0, n).map((rows) => {
    const { state } = rows;
    Object.assign(state, {
      owner: worker,
      ownerUntil: now + claimMs,
      epoch: state.epoch + 1,
      status: state.paused ? 'paused' : 'running',
      cancelSent: false,
      pokedSeq: 0,
      pokeAfter: null,
    });
    for (const wait of rows.waits.values()) if (wait.kind === 'map' && !wait.closed && wait.decision === null) wait.dispatched = false;
    return { ...headOf(rows), epoch: state.epoch };
  });
}

export function adoptRuns(tables: Tables, [dead, worker, n, stallMs]: readonly [string, string, number, number | null]): object[] {
  if (!mayTake(tables, dead, stallMs)) return [];
  const runs = ownedBy(tables, dead).filter((rows) => onlyWaits(rows, tables.now()));
  return runs.slice(0, n).map(({ state }) => {
    state.owner = worker;
    return { adopt_runs_v1: state.run };
  });
}

export function releaseWorker(tables: Tables, [worker, stallMs]: readonly [string, number | null]): object[] {
  if (!mayTake(tables, worker, stallMs)) return [{ released: false }];
  for (const { state } of tables.runs.values())
    if (state.owner === worker && state.started === null && state.finished === null)
      Object.assign(state, { owner: null, ownerUntil: null });
  for (const [key, { holder }] of tables.duties) if (holder === worker) tables.duties.delete(key);
  return [{ released: true }];
}

export function forgetWorker(tables: Tables, [worker]: readonly [string]): object[] {
  if (mayTake(tables, worker, null) && ownedBy(tables, worker).length === 0) tables.workers.delete(worker);
  return [];
}
