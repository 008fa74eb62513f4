import { createHash } from 'node:crypto';
import { isPriority } from '../domain/run/priority.ts';
import { prepareRun, type RunDefaults } from '../domain/run/prepareRun.schema.ts';
import { Problem } from '../domain/problem.ts';
import { fireTimes, nextFireTime } from '../domain/schedule/fireTimes.ts';
import type { Database } from './database.ts';
import { heldArtifacts } from './repositories/artifacts.ts';
import { findDefinition } from './repositories/definitions.ts';
import type { Plans } from './repositories/plans.ts';
import { decideDue, dueSchedule, markFailed, markStarted, pendingFires, type DueSchedule, type PendingFire } from './schedules.ts';
import type { Submits } from './submit.ts';

export type Fires = {
  /**
   * Decides every fire time of a schedule up to `until` (ms since the epoch) and makes the runs. Whoever calls, and how
   * often: no time makes two runs. @returns gone = there is no such schedule
   */
  fireDue: (schedule: string, until: number) => Promise<'fired' | 'gone'>;
  /** The same for times that are `graceMs` overdue by the database's clock, jitter counted in. */
  fireOverdue: (schedule: string, graceMs: number) => Promise<'fired' | 'gone'>;
  /** Makes the runs of fires that have none yet, of one schedule or of all. @returns how many there were */
  submitPending: (schedule?: string) => Promise<number>;
};

type FiresDeps = { db: Pick<Database, 'rows'>; plans: Plans; submitRun: Submits['submitRun']; defaults: RunDefaults };

/** Times decided in one transaction. */
const BATCH = 100;
/** Times beyond the catch-up window that are counted one by one after an outage; more are not worth the time. */
const LOST = 1_000;

export function createFires(deps: FiresDeps): Fires {
  const submitPending = async (schedule?: string) => {
    const fires = await pendingFires(deps.db, schedule);
    await Promise.all(fires.map((fire) => submitFire(deps, fire)));
    return fires.length;
  };
  const fire = async (schedule: string, due: Due) => {
    if ((await decide(deps, schedule, due)) === 'gone') return 'gone';
    await submitPending(schedule);
    return 'fired';
  };
  return {
    fireDue: (schedule, until) => fire(schedule, { kind: 'timer', until: () => until }),
    fireOverdue: (schedule, graceMs) => fire(schedule, { kind: 'sweep', until: ({ now, spec }) => now - spec.jitterMs - graceMs }),
    submitPending,
  };
}

type Due = { kind: 'timer' | 'sweep'; until: (schedule: DueSchedule) => number };

async function decide({ db }: FiresDeps, id: string, due: Due): Promise<'ok' | 'gone'> {
  for (;;) {
    const schedule = await dueSchedule(db, id);
    if (!schedule) return 'gone';
    const { spec, through } = schedule;
    const until = due.until(schedule);
    if (until <= through) return 'ok';
    // Not earlier than the catch-up window: a schedule of every second that was away for a week has 600,000 times.
    const horizon = Math.min(until, Math.max(through, schedule.now - schedule.catchupMs - spec.jitterMs));
    const lost = horizon > through && !schedule.paused ? fireTimes(spec, { after: through, until: horizon, limit: LOST }).length : 0;
    const times = schedule.paused ? [] : fireTimes(spec, { after: horizon, until, limit: BATCH });
    const reached = times.length === BATCH ? (times.at(-1) ?? until) : until;
    const decision = { until: reached, next: nextFireTime(spec, reached), times, lost, kind: due.kind };
    const outcome = await decideDue(db, schedule, decision);
    if (outcome === 'gone' || (outcome === 'ok' && reached === until)) return outcome;
  }
}

async function submitFire(deps: FiresDeps, fire: PendingFire): Promise<void> {
  try {
    await deps.submitRun(await runOf(deps, fire));
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500) throw error;
    return markFailed(deps.db, fire, error.toFailure());
  }
  await markStarted(deps.db, fire);
}

/** The run of a fire: an ordinary one, under a key of the schedule and the time, so that a repetition is the same run. */
async function runOf({ db, plans, defaults }: FiresDeps, fire: PendingFire) {
  const { workspace, definition, definitionVersion: version, priority, project } = fire;
  if (fire.archived) throw new Problem('project_archived', { detail: 'Nothing is started in the project of the schedule' });
  const stored = await findDefinition(db, { workspace, name: definition, version: version ?? undefined });
  if (!stored) throw new Problem('not_found', { detail: `No workflow ${definition}${version === null ? '' : ` of version ${version}`}` });
  const { plan, text } = await plans.get(stored.plan);
  const request = {
    input: fire.input ?? undefined,
    ...(fire.labels && { labels: fire.labels as Record<string, string> }),
    ...(isPriority(priority) && { priority }),
  };
  const prepared = prepareRun(plan, request, defaults);
  const by = `schedule:${fire.schedule}`;
  const key = `${new Date(fire.nominal).toISOString()}${fire.manual ? '/trigger' : ''}`;
  return {
    ...prepared.run,
    ...(project !== null && { project }),
    ...{ workspace, runId: fire.run, principal: by, createdBy: by, key, definition: stored.name, definitionNumber: stored.number },
    requestHash: createHash('sha256').update(`${by}/${key}`).digest(),
    plan: { hash: Buffer.from(stored.plan, 'hex'), body: text },
    data: JSON.stringify({ schedule: { id: fire.schedule, name: fire.name, at: new Date(fire.nominal).toISOString(), kind: fire.kind } }),
    artifacts: await heldArtifacts(db, workspace, prepared.artifacts),
  };
}
