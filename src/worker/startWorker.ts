import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../domain/problem.ts';
import { createAborts } from './aborts.ts';
import { createEarlyStarts } from './earlyStarts.ts';
import type { StartWorkerDeps, WorkerPlace } from './parts.ts';
import { createPoke } from './poke.ts';
import { createTakeover } from './takeover.ts';
import { CLAIM_MS, createUnfinishedStarts } from './unfinishedStarts.ts';
import type { TemporalSide } from './temporalSide.ts';
import { createWaker } from './waker.ts';

/** Time for what others left and what is queued, before loading what speaks to Temporal takes this thread, ms. */
const FIRST_MS = 500;
/** They take this thread for 100 ms each. */
const SLOW_PARTS = ['@temporalio/client', '@temporalio/worker'];
/** What is queued meanwhile is looked for this often at first, and then, while Temporal is away, ms. */
const [LOOK_MS, LATER_MS, LOOKS] = [25, 1_000, 80];

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
  const early = createEarlyStarts({
    ...{ db, carry, worker: place.id, taken: takeover.taken },
    held: session.held,
    isUp: () => waker.polling() || lifecycle.stopping.aborted,
  });
  const first = async () => {
    await session.opened;
    await takeover.look();
    deps.onCarrying();
    await early.look();
  };
  const carried = first().catch((error: unknown) => {
    log.warn({ err: error }, 'runs.not_begun_early');
  });
  await Promise.race([carried, sleep(FIRST_MS)]);
  void carried.then(() => keepBeginning(early, { until: waker.polling, stopping: lifecycle.stopping, log }));
  for (const part of SLOW_PARTS) await import(part).then(() => sleep(1)); // what came meanwhile has its turn
  const { startTemporalSide } = await import('./temporalSide.ts');
  late.side = startTemporalSide({ ...deps, waker, unfinished, aborts, takeover, gone, activities, carry, isInline }, place);
  await late.side.ready;
}

async function keepBeginning(
  early: ReturnType<typeof createEarlyStarts>,
  { until, stopping, log }: { until: () => boolean; stopping: AbortSignal; log: StartWorkerDeps['log'] },
): Promise<void> {
  for (let looks = 0; !until() && !stopping.aborted; looks++) {
    await sleep(looks < LOOKS ? LOOK_MS : LATER_MS, undefined, { ref: false });
    await early.look().catch((error: unknown) => {
      log.warn({ err: error }, 'runs.not_begun_early');
    });
  }
}
