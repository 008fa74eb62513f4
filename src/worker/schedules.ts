import type { Commands } from '../db/commands.ts';
import type { Database } from '../db/database.ts';
import type { Fires } from '../db/fires.ts';
import { holdDuty, releaseDuty } from '../db/lease.ts';
import {
  adoptPause,
  bufferedSchedules,
  drainBuffer,
  forgetFires,
  forgetSchedule,
  markSynced,
  nextDelayedMs,
  overdueSchedules,
  releaseCancelled,
  syncedSchedules,
  unsyncedSchedules,
  type SyncedSchedule,
} from '../db/schedules.ts';
import { Problem } from '../domain/problem.ts';
import { nextFireTime } from '../domain/schedule/fireTimes.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import type { WorkerMetrics } from '../runtime/metrics.ts';
import { temporalFailure } from '../temporal/failures.ts';
import type { TemporalSchedules } from '../temporal/schedules.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

export type SchedulesDeps = {
  db: Pick<Database, 'rows'>;
  fires: Fires;
  schedules: TemporalSchedules;
  command: Commands['command'];
  metrics: WorkerMetrics;
  log: Log;
  clock: Clock;
  /** Id of this worker: holder of the duty. */
  worker: string;
  temporalUp: () => boolean;
  onTemporal: (up: boolean) => void;
  /** The dispatcher has something to do: a delayed run is due. */
  kickDispatcher: () => void;
};

export type Schedules = {
  /** A schedule has changed, or a run is delayed. */
  kick: () => void;
  /** Some runs have changed: fires may wait for one of them. */
  runsChanged: () => void;
  stop: () => Promise<void>;
};

const DUTY = 'schedules';
const LEASE_MS = 5_000;
const PERIOD_MS = 1_000;
/** How late a time may be before it is fired without Temporal's word. */
const GRACE_MS = 5_000;
/** Schedules compared with Temporal in one pass. */
const BATCH = 20;
const DAY_MS = 86_400_000;
const KEPT_DAYS = 30;
const FIRST = '00000000-0000-0000-0000-000000000000';

type State = { held: boolean; buffered: boolean; after: string; forgot: number; timer: NodeJS.Timeout | undefined };

/**
 * Keeps schedules going; one process at a time has the duty. What rows alone decide (overdue times, fires that wait, runs that are
 * delayed) goes on while Temporal is down; the other half makes Temporal's schedules agree with the rows.
 */
export function createSchedules(deps: SchedulesDeps): Schedules {
  const state: State = { held: false, buffered: false, after: FIRST, forgot: -Infinity, timer: undefined };
  const fault = createFaultLog(deps, 'schedules.failed');
  const temporal = createPump(
    () => reconcile(deps, state),
    (error) => {
      if (temporalFailure(error) === 'down') deps.onTemporal(false);
      else fault(error);
    },
  );
  const rows = createPump(async () => {
    state.held = await holdDuty(deps.db, { key: DUTY, holder: deps.worker, ms: LEASE_MS });
    if (!state.held) return false;
    temporal.kick();
    return keepGoing(deps, state);
  }, fault);
  const timer = setInterval(rows.kick, PERIOD_MS);
  rows.kick();
  return {
    kick: rows.kick,
    runsChanged: () => {
      if (state.buffered) rows.kick();
    },
    stop: async () => {
      clearInterval(timer);
      clearTimeout(state.timer);
      await Promise.all([rows.stop(), temporal.stop()]);
      await releaseDuty(deps.db, { key: DUTY, holder: deps.worker });
    },
  };
}

/** @returns whether there is more to do at once */
async function keepGoing(deps: SchedulesDeps, state: State): Promise<boolean> {
  await waitForDelayed(deps, state);
  const overdue = await overdueSchedules(deps.db, GRACE_MS);
  for (const id of overdue) await deps.fires.fireOverdue(id, GRACE_MS);
  const drained = await drain(deps, state);
  const pending = await deps.fires.submitPending();
  if (deps.clock.now() - state.forgot > DAY_MS) {
    await forgetFires(deps.db, KEPT_DAYS);
    state.forgot = deps.clock.now();
  }
  return drained > 0 || pending === 100 || overdue.length === 100;
}

/** Fires that wait for an open run of their schedule; what is open is asked to end where the policy says so. */
async function drain(deps: SchedulesDeps, state: State): Promise<number> {
  const waiting = await bufferedSchedules(deps.db);
  state.buffered = waiting.length > 0;
  let drained = 0;
  for (const { id, overlap, runs } of waiting) {
    if (await drainBuffer(deps.db, id)) drained++;
    else if (overlap === 'cancelOther' || overlap === 'terminateOther')
      for (const run of runs) await endRun(deps, { ...run, schedule: id, force: overlap === 'terminateOther' });
  }
  return drained;
}

type Ending = { run: string; workspace: string; intent: string | null; schedule: string; force: boolean };

async function endRun({ command }: SchedulesDeps, { run, workspace, intent, schedule, force }: Ending): Promise<void> {
  if (intent !== null && (!force || intent === 'force')) return;
  try {
    await command({ type: 'cancel', run, workspace, by: `schedule:${schedule}`, reason: 'the next run of the schedule is due', force });
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'run_already_closed')) throw error;
  }
}

/** Admission looks every second; a delayed run is to begin in its moment. */
async function waitForDelayed(deps: SchedulesDeps, state: State): Promise<void> {
  if (await releaseCancelled(deps.db)) deps.kickDispatcher();
  const ms = await nextDelayedMs(deps.db);
  clearTimeout(state.timer);
  if (ms !== null && ms < 2 * PERIOD_MS) state.timer = setTimeout(deps.kickDispatcher, Math.max(0, ms) + 1);
}

/** @returns whether something was repaired: where one is lost, many are */
async function reconcile(deps: SchedulesDeps, state: State): Promise<boolean> {
  if (!state.held || !deps.temporalUp()) return false;
  const changed = await unsyncedSchedules(deps.db, BATCH);
  for (const schedule of changed) await sync(deps, schedule);
  const page = await syncedSchedules(deps.db, { after: state.after, limit: BATCH });
  state.after = page.length < BATCH ? FIRST : (page.at(-1)?.id ?? FIRST);
  let repaired = 0;
  for (const schedule of page) if (await compare(deps, schedule)) repaired++;
  return changed.length === BATCH || (repaired > 0 && state.after !== FIRST);
}

async function sync({ db, schedules }: SchedulesDeps, schedule: SyncedSchedule): Promise<void> {
  if (schedule.deleted) {
    await schedules.remove(schedule.id);
    await forgetSchedule(db, schedule.id);
    return;
  }
  const seen = await schedules.put(schedule);
  await markSynced(db, { id: schedule.id, revision: schedule.revision, seen: seen.fingerprint });
}

/** The row is the truth about what a schedule is; whether it is paused may be said in Temporal too, and is then written to the row. */
async function compare(deps: SchedulesDeps, schedule: SyncedSchedule): Promise<boolean> {
  const seen = await deps.schedules.look(schedule.id);
  if (seen && seen.paused !== schedule.paused) {
    const next = nextFireTime(schedule.spec, deps.clock.now());
    const adopted = await adoptPause(deps.db, schedule, { ...seen, next });
    if (adopted) deps.log.info({ schedule: schedule.id, paused: seen.paused }, 'schedule.pause_adopted');
    return adopted;
  }
  if (seen?.fingerprint === schedule.seen) return false;
  deps.metrics.corrections.inc({ reason: 'schedule' });
  deps.log.warn({ schedule: schedule.id, lost: seen === undefined }, 'schedule.repaired');
  await sync(deps, schedule);
  return true;
}
