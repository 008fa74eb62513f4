import type { Database } from '../db/database.ts';
import { holdDuty, releaseDuty } from '../db/lease.ts';
import { waitingRequests } from '../db/personRequests.ts';
import { waitingClosings } from '../db/repositories/closedWorkspaces.ts';
import { createSubmits, type Submits } from '../db/submit.ts';
import { submitClosing } from '../db/submitClosing.ts';
import { submitRequest } from '../db/submitRequest.ts';
import { systemRun } from '../db/systemDefinitions.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../runtime/logger.ts';
import { createFaultLog } from './faultLog.ts';
import { createPump } from './pump.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** Files of src/definitions, and when in their period they are due, in UTC. */
const SYSTEM_DEFINITIONS = [
  { file: 'partitions', everyMs: DAY_MS, atMs: 2 * HOUR_MS },
  { file: 'retention', everyMs: DAY_MS, atMs: 3 * HOUR_MS },
] as const;
type SystemDefinition = (typeof SYSTEM_DEFINITIONS)[number];

const DUTY = 'system runs';
const PERIOD_MS = 60_000;

type SystemRunsDeps = {
  db: Database;
  log: Log;
  clock: Clock;
  /** Id of this worker: holder of the duty. */
  worker: string;
  /** From the closing of a workspace to the deletion of what is in it. */
  closingMs: number;
};

/**
 * Starts what the product does for itself when it is due, one process at a time. A period's run has a key of its own, so that it
 * is one run however many ask for it, and a period that nobody was there for is made up for by the last one alone.
 * @param afterMs how long a process must live first: the machine has other things to do then
 */
export function startSystemRuns(deps: SystemRunsDeps, afterMs: number): { stop: () => Promise<void> } {
  const periods = new Map<string, number>();
  const pump = createPump(
    async () => {
      if (!(await holdDuty(deps.db, { key: DUTY, holder: deps.worker, ms: 3 * PERIOD_MS }))) return false;
      await ensureSystemSchedules(deps, periods);
      await ensureRequests(deps);
      await ensureClosings(deps);
      return false;
    },
    createFaultLog(deps, 'system_runs.failed'),
  );
  let timer: NodeJS.Timeout = setTimeout(() => {
    pump.kick();
    timer = setInterval(pump.kick, PERIOD_MS);
  }, afterMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await pump.stop();
      await releaseDuty(deps.db, { key: DUTY, holder: deps.worker });
    },
  };
}

/**
 * Stores the definitions and submits the runs of the present periods.
 * @param periods those that are known to be submitted, by file
 */
export async function ensureSystemSchedules(
  deps: Pick<SystemRunsDeps, 'db' | 'clock' | 'log'>,
  periods: Map<string, number>,
): Promise<void> {
  const periodOf = ({ everyMs, atMs }: SystemDefinition) => Math.floor((deps.clock.now() - atMs) / everyMs);
  const due = SYSTEM_DEFINITIONS.filter((definition) => periods.get(definition.file) !== periodOf(definition));
  if (due.length === 0) return;
  const submits = createSubmits({ url: deps.db.url });
  try {
    for (const definition of due) {
      const period = periodOf(definition);
      const { outcome, runId } = await submits.submitRun(
        await systemRun(deps.db, { file: definition.file, key: `tiu-${definition.file}/${period}` }),
      );
      periods.set(definition.file, period);
      deps.log.info({ runId, definition: definition.file, period, outcome }, 'system_runs.due');
    }
  } finally {
    await submits.close();
  }
}

/** Submits runs for what people have asked for of their data and no run does. */
export const ensureRequests = async (deps: Pick<SystemRunsDeps, 'db' | 'log'>): Promise<void> =>
  submitEach(deps, await waitingRequests(deps.db), submitRequest);

/** Submits runs for workspaces that are closing and that no run closes. */
export const ensureClosings = async (deps: Pick<SystemRunsDeps, 'db' | 'log' | 'closingMs'>): Promise<void> =>
  submitEach(deps, await waitingClosings(deps.db, deps.closingMs), submitClosing);

type Submitting = { db: Database } & Pick<Submits, 'submitRun'>;

async function submitEach<T extends { id: string }>(
  deps: Pick<SystemRunsDeps, 'db' | 'log'>,
  waiting: readonly T[],
  submit: (deps: Submitting, one: T) => Promise<string>,
): Promise<void> {
  if (waiting.length === 0) return;
  const submits = createSubmits({ url: deps.db.url });
  try {
    for (const one of waiting) {
      const runId = await submit({ db: deps.db, submitRun: submits.submitRun }, one);
      deps.log.info({ runId, for: one.id }, 'system_runs.asked_for');
    }
  } finally {
    await submits.close();
  }
}
