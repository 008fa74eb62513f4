import type { Children } from '../db/children.ts';
import {
  claimCancels,
  claimOverdue,
  claimSlices,
  claimEnding,
  endQueued,
  forgetCancel,
  forgetMap,
  type RunHeadRow,
  type SliceRow,
} from '../db/dispatch.ts';
import { claimUntold, forgetTold } from '../db/untold.ts';
import type { Kick } from '../db/notices.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Executions } from '../temporal/executions.ts';
import { temporalFailure } from '../temporal/failures.ts';
import { admitRuns, type AdmissionDeps } from './admission.ts';
import type { Externals } from './externals.ts';
import { createFaultLog } from './faultLog.ts';
import { createPace } from './pace.ts';
import { createPump, type Pump } from './pump.ts';
import { createRunSlots } from './runSlots.ts';

export type DispatcherDeps = Omit<AdmissionDeps, 'executions' | 'onError' | 'pace' | 'slots'> & {
  executions: Pick<Executions, 'start' | 'restart' | 'poke' | 'cancel' | 'startSlice'>;
  children: Children;
  externals: Externals;
  clock: Clock;
  /** Told what calls to Temporal say about it: true = it answers. */
  onTemporal: (up: boolean) => void;
  /** Whether it is worth asking Temporal at all. */
  temporalUp: () => boolean;
  /** Runs of this process that do more than wait. */
  maxRuns: number;
  /** Runs that are told at once that they are to end. */
  maxPoked: number;
  /** There is a bulk job. */
  onBulk: () => void;
  /** From the end of a run to the look for what had waited for it. */
  closedDelayMs: number;
};

export type Dispatcher = {
  /** Something may have to be done: a notice, a new LISTEN, a second gone by. Without a word of what: anything. */
  kick: (what?: Kick) => void;
  stop: () => Promise<void>;
};

const POLL_MS = 1_000;
/** So long after somebody was told to end, more are told as soon as these have. */
const CROWDED_MS = 5_000;
/** Where very many are to be told something, a hundred are told in each such time: what they do then would be too much at once. */
const PACE_MS = 500;
/** Fits a notice. */
const ENDED_AT_ONCE = 100;

/**
 * Starts what is queued, cancels what is to be cancelled, pokes who has something to read, starts slices of maps and what
 * calls activities of users. Everything follows from rows, so a lost notice or a killed process loses nothing. Each duty
 * has a loop of its own: a slow one does not hold up the others.
 */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const fault = createFaultLog(deps, 'dispatch.failed');
  const onError = (error: unknown) => {
    if (temporalFailure(error) === 'down') deps.onTemporal(false);
    else fault(error);
  };
  const guarded = (duty: () => Promise<boolean>) => createPump(() => (deps.temporalUp() ? duty() : Promise.resolve(false)), onError);
  const pace = createPace(deps.clock);
  const tell = { ...deps, onError, pace, slots: createRunSlots(deps, deps.maxRuns) };
  let crowdedUntil = -Infinity; // runs that end make room for others to be told
  const admission = guarded(() => admitRuns(tell));
  const commands = guarded(async () => {
    const told = await sendCommands(tell);
    if (told > 0) crowdedUntil = deps.clock.now() + CROWDED_MS;
    return false;
  });
  const untold = paced(guarded, () => pokeUntold(tell));
  const slices = guarded(() => startSlices(tell));
  const ends = createPump(async () => (await endQueued(deps.db, ENDED_AT_ONCE)).length === ENDED_AT_ONCE, onError); // needs no Temporal
  const externals = guarded(deps.externals.look);
  const { children, items } = createFamily(deps.children, { untold, onError });
  const duties = [admission, commands, untold, slices, ends, children, items, externals, guarded(() => pokeOverdue(tell))];
  // most runs that end make room for nobody and have no parent
  const delayed = later(() => {
    admission.kick();
    untold.kick(); // parents of what has ended
    items.kick();
    if (deps.clock.now() < crowdedUntil) commands.kick();
  }, deps.closedDelayMs);
  const of: Record<Kick, () => void> = {
    queued: admission.kick,
    awaited: pace.awaited,
    bulk: deps.onBulk,
    closed: delayed.call,
    wait: () => {
      for (const duty of [slices, children, externals]) duty.kick();
    },
    command: () => {
      for (const duty of [commands, untold, ends, admission, children, items, externals]) duty.kick();
    },
  };
  const kick = (what?: Kick) => {
    if (what !== undefined) of[what]();
    else for (const duty of duties) duty.kick();
  };
  const timer = setInterval(() => {
    kick();
  }, POLL_MS);
  return {
    kick,
    stop: async () => {
      clearInterval(timer);
      delayed.stop();
      await Promise.all(duties.map((duty) => duty.stop()));
    },
  };
}

/** Runs that tasks and items wait for are started, and the items of those that have ended settled. Needs no Temporal. */
function createFamily(of: Children, { untold, onError }: { untold: Pick<Pump, 'kick'>; onError: (error: unknown) => void }) {
  const children = createPump(of.look, onError);
  const items = createPump(async () => {
    if (!(await of.settle())) return false;
    children.kick(); // there is room for the next
    untold.kick();
    return true;
  }, onError);
  return { children, items };
}

/** A duty that stands still for a moment where there is more of it. */
function paced(guarded: (duty: () => Promise<boolean>) => Pump, duty: () => Promise<boolean>): Pick<Pump, 'kick' | 'stop'> {
  let isFull = false;
  const next = later(() => {
    isFull = false;
    pump.kick();
  }, PACE_MS);
  const pump = guarded(async () => {
    if (isFull) return false;
    isFull = await duty();
    if (isFull) next.call();
    return false;
  });
  return {
    kick: pump.kick,
    stop: async () => {
      next.stop();
      await pump.stop();
    },
  };
}

/** Calls once for all calls of `ms`. */
function later(call: () => void, ms: number): { call: () => void; stop: () => void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    call: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        call();
      }, ms);
    },
    stop: () => {
      clearTimeout(timer);
    },
  };
}

type Teller = DispatcherDeps & { onError: (error: unknown) => void };

/** @returns how many were told */
async function sendCommands(deps: Teller): Promise<number> {
  const told = await claimEnding(deps.db, deps.maxPoked);
  const cancels = await claimCancels(deps.db);
  const sent = await Promise.all(cancels.map((runId) => sendCancel(deps, runId)));
  const cancelled = new Set(cancels.filter((_, i) => sent[i]));
  // A request to cancel makes an execution look by itself; a signal behind it would have it look a second time.
  await Promise.all(told.filter(({ runId }) => !cancelled.has(runId)).map((run) => sendPoke(deps, run, 'command')));
  return told.length;
}

/** @returns whether there may be more */
async function pokeUntold(deps: Teller): Promise<boolean> {
  const untold = await claimUntold(deps.db);
  const taken = await Promise.all(untold.map((run) => sendPoke(deps, run, 'command')));
  await forgetTold(
    deps.db,
    untold.filter((_, i) => taken[i]),
  );
  return untold.length === 100;
}

/** An execution that is gone needs no cancel: the poke that follows brings the run back, and it reads the command. */
async function sendCancel(deps: Teller, runId: string): Promise<boolean> {
  try {
    await deps.executions.cancel(runId);
    deps.metrics.cancels.inc();
    return true;
  } catch (error) {
    if (temporalFailure(error) === 'gone') return false;
    await forgetCancel(deps.db, runId);
    deps.onError(error);
    return false;
  }
}

async function pokeOverdue(deps: Teller): Promise<boolean> {
  const overdue = await claimOverdue(deps.db);
  await Promise.all(overdue.map((run) => sendPoke(deps, run, 'overdue')));
  return overdue.length === 100;
}

/** @returns whether Temporal has taken the signal, which it then delivers whatever becomes of the worker */
async function sendPoke(deps: Teller, run: RunHeadRow, reason: string): Promise<boolean> {
  try {
    await deps.executions.poke(run);
    deps.metrics.pokes.inc({ reason });
    return true;
  } catch (error) {
    deps.onError(error);
    return false;
  }
}

async function startSlices(deps: Teller): Promise<boolean> {
  const slices = await claimSlices(deps.db);
  const queue = [...slices];
  let failed = 0;
  const lane = async () => {
    for (let slice = queue.shift(); slice; slice = queue.shift()) if (!(await startSlice(deps, slice))) failed++;
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  return slices.length > 0 && failed === 0;
}

async function startSlice(deps: Teller, slice: SliceRow): Promise<boolean> {
  try {
    await deps.executions.startSlice(slice, `slice ${slice.k} of task ${slice.task}, run ${slice.runId}`);
    deps.metrics.slices.inc();
    return true;
  } catch (error) {
    await forgetMap(deps.db, slice);
    deps.onError(error);
    return false;
  }
}
