import { addEvent, aTask, itemOrNull, stopOf, taskKey, type RunRows, type Tables } from './tables.ts';
import { isFinalStatus } from '../../../src/domain/plan/outcome.ts';

const POKE_AGAIN_MS = 2_000;
const OVERDUE_MS = 2_000;
const SETTLED_MS = 3_000;

const sorted = (tables: Tables): RunRows[] => [...tables.runs.values()].sort((a, b) => (a.state.run < b.state.run ? -1 : 1));
const isOpen = ({ state }: RunRows): boolean => state.finished === null;
const begun = ({ state }: RunRows): boolean => state.started !== null && state.finished === null;

export const headOf = ({ state, definition, priority }: RunRows): object => ({
  ...{ runId: state.run, workspace: state.workspace, definition, title: null, parent: null, priority, total: state.total },
});

/** Which queued runs may start, in order. */
function selectRuns(tables: Tables, { n, except }: { n: number; except: readonly string[] }): RunRows[] {
  const now = tables.now();
  const queued = sorted(tables).filter(
    ({ state }) =>
      !except.includes(state.workspace) &&
      state.started === null &&
      state.finished === null &&
      (state.notBefore === null || state.notBefore <= now),
  );
  return queued.slice(0, n);
}

function beginRun(rows: RunRows, { worker, claimMs, now }: { worker: string; claimMs: number; now: number }): object {
  const { state, plan, input, created, mode } = rows;
  state.epoch++;
  state.lastSeq++;
  Object.assign(state, {
    owner: worker,
    ownerUntil: now + claimMs,
    segOpen: 1,
    status: state.paused ? 'paused' : 'running',
    started: now,
    appliedSeq: state.lastSeq,
  });
  addEvent(rows, state.lastSeq, { type: 'run.started', at: now });
  return {
    ...headOf(rows),
    ...{ mode, epoch: state.epoch, cursor: state.lastSeq, intent: stopOf(state), planHash: plan, inputSize: input?.length ?? 0 },
    due: state.deadline !== null && state.intent === null ? Math.max(0, state.deadline - now) : null,
    input: input === null ? null : (JSON.parse(input) as unknown),
    startedAt: new Date(Math.max(created, now)).toISOString(),
  };
}

export function admit(tables: Tables, [worker, n, claimMs, except]: readonly [string, number, number, string[]]): object[] {
  const now = tables.now();
  return selectRuns(tables, { n, except }).map((rows) => beginRun(rows, { worker, claimMs, now }));
}

export const countBusy = (tables: Tables, [worker, upTo]: readonly [string, number]): object[] => {
  const busy = sorted(tables).filter(
    (rows) => begun(rows) && rows.state.owner === worker && !['waiting', 'paused'].includes(rows.state.status),
  );
  return [{ n: Math.min(upTo, busy.length) }];
};

export function holdClaims(tables: Tables, [worker, runs, ms]: readonly [string, string[], number]): object[] {
  for (const run of runs) {
    const state = tables.runs.get(run)?.state;
    if (state?.owner === worker && state.finished === null) state.ownerUntil = tables.now() + ms;
  }
  return [];
}

export const carriedElsewhere = (tables: Tables, [worker, runs]: readonly [string, string[]]): object[] =>
  runs
    .filter((run) => {
      const owner = tables.runs.get(run)?.state.owner ?? null;
      return owner !== null && owner !== worker;
    })
    .map((run) => ({ run }));

export function claimCancels(tables: Tables): object[] {
  const found = sorted(tables).filter(
    (rows) => begun(rows) && !rows.state.cancelSent && (rows.state.intent === 'cancel' || rows.state.intent === 'force'),
  );
  return found.slice(0, 100).map(({ state }) => {
    state.cancelSent = true;
    return { run: state.run };
  });
}

export function forgetCancel(tables: Tables, [run]: readonly [string]): object[] {
  const state = tables.runs.get(run)?.state;
  if (state) state.cancelSent = false;
  return [];
}

export function claimEnding(tables: Tables): object[] {
  const now = tables.now();
  const found = sorted(tables).filter((rows) => {
    const { intent, commandSeq, appliedSeq, pokedSeq, pokeAfter } = rows.state;
    return begun(rows) && intent !== null && commandSeq > appliedSeq && (pokedSeq < commandSeq || (pokeAfter !== null && pokeAfter < now));
  });
  return found.slice(0, 100).map((rows) => {
    rows.state.pokedSeq = rows.state.commandSeq;
    rows.state.pokeAfter = now + POKE_AGAIN_MS;
    return headOf(rows);
  });
}

export function claimOverdue(tables: Tables): object[] {
  const now = tables.now();
  const found = sorted(tables).filter((rows) => {
    const { pokeAfter } = rows.state;
    if (!begun(rows) || (pokeAfter !== null && pokeAfter >= now)) return false;
    return [...rows.waits.values()].some(
      ({ closed, until, decision }) => !closed && (decision !== null || (until !== null && until < now - OVERDUE_MS)),
    );
  });
  return found.slice(0, 100).map((rows) => {
    rows.state.pokeAfter = now + POKE_AGAIN_MS;
    return headOf(rows);
  });
}

export function claimSlices(tables: Tables): object[] {
  const found: object[] = [];
  for (const rows of sorted(tables)) {
    if (!isOpen(rows) || stopOf(rows.state) !== null) continue;
    const maps = [...rows.waits.values()].filter(
      (wait) => !wait.closed && wait.kind === 'map' && !wait.dispatched && wait.decision === null && !rows.state.held?.includes(wait.task),
    );
    for (const wait of maps) {
      wait.dispatched = true;
      const left = rows.slices.filter(({ task, generation, done }) => task === wait.task && generation === wait.generation && !done);
      found.push(...left.map(({ task, generation, k }) => ({ runId: rows.state.run, task, generation, k })));
    }
  }
  return found;
}

export function forgetMap(tables: Tables, [run, task, generation]: readonly [string, number, number]): object[] {
  const wait = tables.runs.get(run)?.waits.get(`${taskKey(task, -1, generation)}/map`);
  if (!wait?.dispatched || wait.closed || wait.decision !== null) return [];
  wait.dispatched = false;
  return [{ run }];
}

export const haltsOf = (tables: Tables, [runs]: readonly [string[]]): object[] =>
  runs.flatMap((run) => {
    const state = tables.runs.get(run)?.state;
    if (!state || (state.intent === null && !state.paused && state.held === null)) return [];
    return [{ run, stop: stopOf(state), held: state.held ?? [] }];
  });

/** Runs that nobody has told of a command other than a cancel. */
export function claimUntold(tables: Tables): object[] {
  const now = tables.now();
  const found: object[] = [];
  for (const [run, untold] of [...tables.untold].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const rows = tables.runs.get(run);
    if (rows?.state.finished !== null) tables.untold.delete(run);
    else if (rows.state.started !== null && (untold.pokeAfter === null || untold.pokeAfter < now)) {
      untold.pokeAfter = now + POKE_AGAIN_MS;
      found.push({ ...headOf(rows), claim: String(untold.pokeAfter) });
    }
  }
  return found;
}

export function told(tables: Tables, [runs, claims]: readonly [string[], string[]]): object[] {
  for (const [i, run] of runs.entries()) if (String(tables.untold.get(run)?.pokeAfter) === claims[i]) tables.untold.delete(run);
  return [];
}

export function openRuns(tables: Tables, [after, limit]: readonly [string, number]): object[] {
  const now = tables.now();
  return sorted(tables)
    .filter((rows) => {
      const { run, started, ownerUntil } = rows.state;
      return begun(rows) && run > after && (started ?? now) < now - SETTLED_MS && (ownerUntil === null || ownerUntil < now);
    })
    .slice(0, limit)
    .map(({ state }) => ({ runId: state.run, epoch: state.epoch, restarts: state.restarts }));
}

export function claimCorrection(tables: Tables, [run, epoch, counted]: readonly [string, number, number]): object[] {
  const state = tables.runs.get(run)?.state;
  if (state?.epoch !== epoch || state.finished !== null) return [];
  state.pokeAfter = tables.now() + POKE_AGAIN_MS;
  state.restarts += counted;
  return [{ run }];
}

export function openSlices(tables: Tables, [limit]: readonly [number]): object[] {
  const now = tables.now();
  return sorted(tables)
    .filter((rows) => begun(rows) && stopOf(rows.state) === null && (rows.state.started ?? now) < now - SETTLED_MS)
    .flatMap((rows) =>
      rows.slices
        .filter((slice) => {
          const wait = rows.waits.get(`${taskKey(slice.task, -1, slice.generation)}/map`);
          return !slice.done && !rows.state.held?.includes(slice.task) && wait && !wait.closed && wait.dispatched && wait.decision === null;
        })
        .map(({ task, generation, k }) => ({
          runId: rows.state.run,
          task,
          generation,
          k,
          epoch: rows.state.epoch,
          restarts: rows.state.restarts,
        })),
    )
    .slice(0, limit);
}

export function closeWaitsOfClosed(tables: Tables): object[] {
  for (const rows of tables.runs.values()) if (!isOpen(rows)) for (const wait of rows.waits.values()) wait.closed = true;
  return [];
}

/** @returns the number of the last event; null: it was closed already */
export function closeByHand(tables: Tables, [run, failure]: readonly [string, string]): number | null {
  const rows = tables.runs.get(run);
  if (rows?.state.finished !== null) return null;
  const { state } = rows;
  const now = tables.now();
  for (let task = 0; task < state.total; task++)
    if (![...rows.tasks.values()].some((row) => row.task === task && row.item === -1))
      rows.tasks.set(taskKey(task, -1, 0), aTask(task, -1, 0));
  const open = [...rows.tasks.values()].filter((row) => !isFinalStatus(row.status)).sort((a, b) => a.task - b.task || b.item - a.item);
  for (const row of open) {
    Object.assign(row, { status: 'cancelled', token: null, seq: ++state.lastSeq, failure, finished: now, nextAt: null });
    addEvent(rows, row.seq, {
      type: 'task.cancelled',
      task: row.task,
      item: itemOrNull(row.item),
      attempt: row.attempt,
      data: failure,
      at: now,
    });
  }
  addEvent(rows, ++state.lastSeq, { type: 'run.failed', data: failure, at: now });
  for (const wait of rows.waits.values()) wait.closed = true;
  state.started ??= now;
  Object.assign(state, { status: 'failed', failure, finished: now, open: 0, epoch: state.epoch + 1 });
  state.appliedSeq = Math.max(state.appliedSeq, state.commandSeq);
  return state.lastSeq;
}

/** @returns a row if the duty is held now */
export function holdDuty(tables: Tables, [key, holder, ms]: readonly [string, string, number]): object[] {
  const held = tables.duties.get(key);
  if (held && held.holder !== holder && held.expires >= tables.now()) return [];
  tables.duties.set(key, { holder, expires: tables.now() + ms });
  return [{ holder }];
}

export function releaseDuty(tables: Tables, [key, holder]: readonly [string, string]): object[] {
  if (tables.duties.get(key)?.holder === holder) tables.duties.delete(key);
  return [];
}
