import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../domain/problem.ts';
import { createAborts } from './aborts.ts';
import { beginEarly } from './beginEarly.ts';
import type { StartWorkerDeps, WorkerPlace } from './parts.ts';
import { createPoke } from './poke.ts';
import { createTakeover } from './takeover.ts';
import { CLAIM_MS, createUnfinishedStarts } from './unfinishedStarts.ts';
import type { TemporalSide } from './temporalSide.ts';
import { createWaker } from './waker.ts';

/** Time for what others left and what is queued, before loading what speaks to Temporal takes this thread, ms. */
const FIRST_MS = 500;

/**
 * Everything a worker process does: carries workflows and activities, starts and pokes runs, repairs. Ends with the
 * lifecycle: first no new starts, then Temporal's worker drains, then the rest. What dead workers held is carried on
 * before anything else, and needs no Temporal.
 * @returns resolves when the worker polls for the first time; Temporal may be down until then
 */
export async function startWorker(deps: StartWorkerDeps, place: WorkerPlace): Promise<void> {
  const { db, config, lifecycle, clock, session, log } = deps;
  const waker = createWaker();
  const onRoom = () => {
    waker.kick('queued');
  };
  const unfinished = createUnfinishedStarts({ clock, onRoom }, { max: config.TIU_MAX_UNFINISHED_STARTS, claimMs: CLAIM_MS });
  const aborts = createAborts({ db });
  const late: { side?: TemporalSide } = {};
  const temporal = () => {
    if (!late.side) throw new Problem('unavailable', { detail: 'Temporal is not reached yet' });
    return late.side;
  };
  const { activities, carry, carryAgain, isInline } = deps.engine({
    worker: place.id,
    maxEffects: config.TIU_MAX_EFFECTS,
    aborts: { add: aborts.add },
    poke: createPoke({ db, executions: () => temporal().executions }),
    requestCancel: async (runId) => temporal().executions.cancel(runId),
    kick: waker.kick,
    startedRun: unfinished.done,
    fireSchedule: async (schedule, at) => {
      // one that has no row, for instance after a restored backup, would fire for ever
      if ((await deps.fires.fireDue(schedule, at)) === 'gone') await temporal().schedules.remove(schedule);
    },
  });
  const gone: string[] = [];
  const takeover = createTakeover({
    ...{ ...deps, worker: place.id, held: session.held, carry: carryAgain, onTaken: waker.kick },
    onGone: (worker) => void gone.push(worker),
  });
  lifecycle.onStop('takeover', () => takeover.stop());
  const early = { ...deps, carry, worker: place.id, taken: takeover.taken, isUp: waker.polling };
  const first = async () => {
    await session.opened;
    await takeover.look();
    deps.onCarrying();
    if (session.held()) await beginEarly(early);
  };
  const carried = first().catch((error: unknown) => {
    log.warn({ err: error }, 'runs.not_begun_early');
  });
  await Promise.race([carried, sleep(FIRST_MS)]);
  const { startTemporalSide } = await import('./temporalSide.ts');
  late.side = startTemporalSide({ ...deps, waker, unfinished, aborts, takeover, gone, activities, carry, isInline }, place);
  await late.side.ready;
}
