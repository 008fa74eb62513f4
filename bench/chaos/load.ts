import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedRun } from '../../tests/chaos/support/runs.ts';
import type { Field } from './field.ts';
import { carryOn, carryOut } from './orders.ts';
import { sampleOf, type Sample } from './samples.ts';
import { submitUntilAccepted } from './submits.ts';

/** A steady stream of runs of all shapes. */
export type Load = {
  /** Everything that was accepted so far. */
  runs: readonly AcceptedRun[];
  shapes: ReadonlyMap<string, number>;
  /** Runs accepted and not seen closed yet. */
  open: () => readonly AcceptedRun[];
  /** Takes a run in that was accepted elsewhere, and what is ordered of it. */
  add: (run: AcceptedRun, sample: Sample) => void;
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
  const { add, ...accepted } = createAccepted();
  const faults: string[] = [];
  const stopping = new AbortController();
  let next = 0;
  const take = async (run: AcceptedRun, sample: Sample): Promise<void> => {
    const ordered = {
      ...{ field, run, sample },
      isOpen: () => accepted.isOpen(run.id),
      reopen: () => accepted.reopen(run),
      add: (other: AcceptedRun) => add(other, `${sample.shape}, again`),
    };
    await Promise.all([add(run, sample.shape), carryOut(ordered)]);
    await carryOn(ordered);
  };
  const others: Promise<void>[] = [];
  const lane = async (api: number) => {
    while (!stopping.signal.aborted) {
      const i = next++;
      const sample = sampleOf(field.cluster, options.seed, i);
      try {
        const run = await submitUntilAccepted(field, sample, { api });
        options.onAccepted(run, i);
        await take(run, sample);
      } catch (error) {
        faults.push((error as Error).message);
      }
      await sleep(options.pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const settled = new AbortController();
  const lanes = Promise.all(Array.from({ length: options.lanes }, (_, api) => lane(api)));
  const looking = lookForEnds(field, accepted, settled.signal);
  return {
    ...{ runs: accepted.runs, shapes: accepted.shapes, faults, open: accepted.open },
    add: (run, sample) => {
      others.push(
        take(run, sample).catch((error: unknown) => {
          faults.push((error as Error).message);
        }),
      );
    },
    settle: async (ms) => {
      stopping.abort();
      const until = Date.now() + ms;
      while (Date.now() < until && (accepted.open().length > 0 || !(await isOver(Promise.all([lanes, ...others]))))) await sleep(LOOK_MS);
      settled.abort();
      await looking;
      return accepted.open();
    },
  };
}

type Accepted = ReturnType<typeof createAccepted>;

function createAccepted() {
  const runs: AcceptedRun[] = [];
  const shapes = new Map<string, number>();
  const open = new Map<string, { run: AcceptedRun; close: () => void }>();
  const reopen = (run: AcceptedRun): Promise<void> =>
    new Promise((close) => {
      open.set(run.id, { run, close });
    });
  return {
    ...{ runs, shapes, reopen },
    isOpen: (id: string) => open.has(id),
    open: (): AcceptedRun[] => [...open.values()].map(({ run }) => run),
    /** @returns resolves when it is closed */
    add: (run: AcceptedRun, shape: string): Promise<void> => {
      runs.push(run);
      shapes.set(shape, (shapes.get(shape) ?? 0) + 1);
      return reopen(run);
    },
    closed: (id: string) => {
      open.get(id)?.close();
      open.delete(id);
    },
  };
}

async function lookForEnds(field: Field, accepted: Omit<Accepted, 'add'>, settled: AbortSignal): Promise<void> {
  while (!settled.aborted) {
    await sleep(LOOK_MS);
    const ids = accepted.open().map(({ id }) => id);
    const closed = await field.cluster
      .rows<{ run: string }>('select run from run_state where run = any($1) and finished is not null', [ids])
      .catch(() => []);
    for (const { run } of closed) accepted.closed(run);
  }
}

const isOver = (work: Promise<unknown>): Promise<boolean> => Promise.race([work.then(() => true), sleep(0, false)]);
