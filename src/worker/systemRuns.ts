import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Database } from '../db/database.ts';
import { holdDuty, releaseDuty } from '../db/lease.ts';
import { storeDefinition } from '../db/repositories/definitions.ts';
import { createSubmits, type Submit } from '../db/submit.ts';
import { canonicalJson } from '../domain/definition/canonical.ts';
import { compile } from '../domain/plan/compile.ts';
import { countedTasks } from '../domain/plan/phases.ts';
import { priorityNumber } from '../domain/run/priority.ts';
import { SYSTEM_WORKSPACE } from '../domain/retention/policy.ts';
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

const ACTOR = 'system';
const DUTY = 'system runs';
const PERIOD_MS = 60_000;

type SystemRunsDeps = {
  db: Database;
  log: Log;
  clock: Clock;
  /** Id of this worker: holder of the duty. */
  worker: string;
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
      const { outcome, runId } = await submits.submitRun(await submitOf(deps.db, definition.file, period));
      periods.set(definition.file, period);
      deps.log.info({ runId, definition: definition.file, period, outcome }, 'system_runs.due');
    }
  } finally {
    await submits.close();
  }
}

/** A system definition, checked like any other, as the newest version that the system workspace has of it. */
async function submitOf(db: Database, file: string, period: number): Promise<Submit> {
  const source = await readFile(new URL(`../definitions/${file}.yaml`, import.meta.url), 'utf8');
  const { readDefinition } = await import('../domain/definition/read.schema.ts'); // a worker boots without it
  const read = readDefinition(source, 'yaml');
  if (!('definition' in read)) throw new Error(`src/definitions/${file}.yaml: ${JSON.stringify(read.issues)}`);
  const { definition } = read;
  const plan = compile(definition);
  const body = canonicalJson(plan);
  const hash = (text: string) => createHash('sha256').update(text).digest();
  const stored = await storeDefinition(db, {
    ...{ workspace: SYSTEM_WORKSPACE, name: definition.name, version: definition.version, title: definition.title, by: ACTOR },
    ...{ hash: hash(canonicalJson(definition)), source, mediaType: 'application/yaml', plan: { hash: hash(body), body } },
  });
  return {
    ...{ workspace: SYSTEM_WORKSPACE, principal: ACTOR, createdBy: ACTOR, key: `${definition.name}/${period}` },
    ...{ requestHash: hash(definition.name), definition: definition.name, definitionNumber: stored.number },
    ...{ plan: { hash: hash(body), body }, tasks: countedTasks(plan.graph), priority: priorityNumber('low'), labels: {}, artifacts: [] },
  };
}
