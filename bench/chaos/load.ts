import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedRun } from '../../tests/chaos/support/runs.ts';
import type { Field } from './field.ts';
import { sampleOf, type Sample } from './samples.ts';
import { post, submitUntilAccepted } from './submits.ts';

/** A steady stream of runs of all shapes. */
export type Load = {
  /** Everything that was accepted so far. */
  runs: readonly AcceptedRun[];
  shapes: ReadonlyMap<string, number>;
  /** Runs accepted and not seen closed yet. */
  open: () => readonly AcceptedRun[];
  /** Takes a run in that was accepted elsewhere. */
  add: (run: AcceptedRun, shape: string) => void;
  /** Accepts no more. Resolves when every run is closed. @returns the open ones after `ms` */
  settle: (ms: number) => Promise<readonly AcceptedRun[]>;
  /** What a client may not see: a submit refused or answered wrongly. */
  faults: readonly string[];
};

export type LoadOptions = {
  seed: number;
  /** Runs at once. */
  lanes: number;
  /** Between the end of a run and the next one of its lane, ms. */
  pauseMs: number;
  onAccepted: (run: AcceptedRun, i: number) => void;
};

const LOOK_MS = 100;

export function startLoad(field: Field, options: LoadOptions): Load {
  const runs: AcceptedRun[] = [];
  const shapes = new Map<string, number>();
  const faults: string[] = [];
  const open = new Map<string, { run: AcceptedRun; close: () => void }>();
  const ending = { over: false, looking: true };
  let next = 0;
  const add = (run: AcceptedRun, shape: string): Promise<void> => {
    runs.push(run);
    shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    open.set(run.id, {
      run,
      close: () => {
        resolve(undefined);
      },
    });
    return promise;
  };
  const lane = async (api: number) => {
    while (!ending.over) {
      const i = next++;
      const sample = sampleOf(field.cluster, options.seed, i);
      try {
        const run = await submitUntilAccepted(field, sample, { api });
        const closed = add(run, sample.shape);
        options.onAccepted(run, i);
        await Promise.all([closed, cancelLater(field, run, sample)]);
      } catch (error) {
        faults.push((error as Error).message);
      }
      if (!ending.over) await sleep(options.pauseMs);
    }
  };
  const look = async () => {
    while (ending.looking) {
      await sleep(LOOK_MS);
      const closed = await field.cluster
        .rows<{ run: string }>('select run from run_state where run = any($1) and finished is not null', [[...open.keys()]])
        .catch(() => []);
      for (const { run } of closed) {
        open.get(run)?.close();
        open.delete(run);
      }
    }
  };
  const lanes = Promise.all(Array.from({ length: options.lanes }, (_, api) => lane(api)));
  const looking = look();
  return {
    ...{ runs, shapes, faults },
    open: () => [...open.values()].map(({ run }) => run),
    add: (run, shape) => void add(run, shape),
    settle: async (ms) => {
      ending.over = true;
      const until = Date.now() + ms;
      while (Date.now() < until && (open.size > 0 || !(await isOver(lanes)))) await sleep(LOOK_MS);
      ending.looking = false;
      await looking;
      return [...open.values()].map(({ run }) => run);
    },
  };
}

const isOver = (work: Promise<unknown>): Promise<boolean> => Promise.race([work.then(() => true), sleep(0, false)]);

/** A cancel that finds the run closed came too late; one that nobody answers is given up. */
async function cancelLater(field: Field, run: AcceptedRun, { cancelAfterMs }: Sample): Promise<void> {
  if (cancelAfterMs === undefined) return;
  await sleep(cancelAfterMs);
  await post(field, 0, { path: `/runs/${run.id}/cancel`, body: { reason: 'chaos' } }).catch(() => undefined);
}
