import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { story } from '../../tests/chaos/support/runs.ts';
import { machine } from '../processes.ts';
import { quantile, round } from '../spread.ts';
import type { Breach } from './checkRun.ts';
import { canMount, mountVolumes } from './disk.ts';
import { planFaults, type Fault, type FaultKind } from './faultPlan.ts';
import { strike, type Struck } from './faults.ts';
import { openField, type Field } from './field.ts';
import { startLoad, type Load } from './load.ts';
import { probe } from './probe.ts';
import { followBySocket, followByStream, type Subscriber } from './subscribers.ts';
import { verify, type Verified } from './verify.ts';

export type ChaosOptions = {
  seed: number;
  /** Over how long the faults are spread; they take longer if the machine needs longer. */
  minutes: number;
  /** Processes to kill at least. */
  kills: number;
  kinds: readonly FaultKind[];
  /** Runs at once. */
  lanes?: number;
  /** Told one line at a time what happens. */
  say?: (line: string) => void;
  /** Ends the faults early; what was accepted is still seen to its end. */
  signal?: AbortSignal;
};

type KindFigures = { faults: number; kills: number; skipped?: string; firstSuccessMs: { p50: number; max: number } | null };

export type ChaosResult = {
  at: string;
  machine: string;
  load: number;
  seed: number;
  options: { minutes: number; kills: number; kinds: readonly FaultKind[] };
  /** What the seed said would happen, in order. */
  planned: number;
  kinds: Record<string, KindFigures>;
  faults: number;
  kills: number;
  /** From the first fault to the last, s. */
  seconds: number;
  accepted: number;
  shapes: Record<string, number>;
  /** From the last fault until every run was closed, s; null if some never were. */
  settledAfter: number | null;
  /** From the return of what was away until a run that was then submitted had completed, ms. */
  firstSuccessMs: { p50: number; max: number; n: number } | null;
  breaches: Breach[];
} & Omit<Verified, 'breaches'>;

/** After the last fault everything accepted ends within this, ms. */
export const SETTLE_MS = 90_000;
/** The first success after something came back, ms. */
export const FIRST_SUCCESS_MS = 5_000;
const LANES = 10;
const PAUSE_MS = 400;
/** Every so many runs, one is followed over Socket.IO and another one over server-sent events. */
const FOLLOWED = 10;
/** Broken runs that are written down. */
const STORIES = 20;

type Done = Struck & { fault: Fault; firstSuccess: number | null };

/**
 * Attacks a stack of its own with the faults of a seed, one after the other, while runs of all shapes go through it, and
 * then checks every run that was accepted. The seed determines faults, victims and definitions, not how the processes
 * happen to interleave.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const say = options.say ?? (() => undefined);
  const faults = planFaults(options);
  const field = await openField(options.kinds.includes('disk') && canMount() ? { prepare: mountVolumes } : {});
  const subscribers: Subscriber[] = [];
  try {
    const load = startLoad(field, {
      ...{ seed: options.seed, lanes: options.lanes ?? LANES, pauseMs: PAUSE_MS },
      onAccepted: (run, i) => {
        if (i % FOLLOWED === 0) subscribers.push(followBySocket(field, run.id, i));
        if (i % FOLLOWED === FOLLOWED / 2) subscribers.push(followByStream(field, run.id, i));
      },
    });
    const breaches: Breach[] = [];
    const from = Date.now();
    const done = await attack({ field, load, options, say, breaches }, faults);
    const ended = Date.now();
    const stuck = await load.settle(SETTLE_MS);
    const settledAfter = stuck.length > 0 ? null : round((Date.now() - ended) / 1000);
    await Promise.race([Promise.all(subscribers.map((each) => each.done)), sleep(20_000, undefined, { ref: false })]);
    const verified = await verify(field, load.runs, subscribers);
    for (const what of load.faults) breaches.push({ kind: 'lost', run: '', what });
    const all = [...breaches, ...verified.breaches];
    if (all.length > 0) say(`what api and workers logged, and the stories of broken runs: ${await keepLog(field, options.seed, all)}`);
    return {
      ...{ at: new Date(from).toISOString(), machine: machine(), load: round(os.loadavg()[1] ?? 0), seed: options.seed },
      options: { minutes: options.minutes, kills: options.kills, kinds: options.kinds },
      ...{ planned: faults.length, ...figuresOf(done), seconds: round((ended - from) / 1000), settledAfter },
      ...{ accepted: load.runs.length, shapes: Object.fromEntries(load.shapes) },
      ...{ ...verified, breaches: all },
    };
  } finally {
    for (const subscriber of subscribers) subscriber.stop();
    await field.close();
  }
}

async function keepLog(field: Field, seed: number, breaches: readonly Breach[]): Promise<string> {
  const file = path.resolve('.tiu/chaos', `seed-${seed}.log`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const broken = [...new Set(breaches.map(({ run }) => run))].filter((run) => run !== '').slice(0, STORIES);
  const stories = await Promise.all(broken.map((run) => story(field.cluster, run, Infinity)));
  fs.writeFileSync(file, [...stories, field.cluster.log()].join('\n'));
  return file;
}

type Attack = { field: Field; load: Load; options: ChaosOptions; say: (line: string) => void; breaches: Breach[] };

async function attack({ field, load, options, say, breaches }: Attack, faults: readonly Fault[]): Promise<Done[]> {
  const { seed, signal } = options;
  const done: Done[] = [];
  const from = Date.now();
  const breach = (what: string) => {
    breaches.push({ kind: 'lost', run: '', what });
  };
  for (const fault of faults) {
    const due = from + ((fault.n - 1) / faults.length) * options.minutes * 60_000;
    await sleep(Math.max(0, due - Date.now()));
    if (signal?.aborted === true) break;
    const struck = await strike({ field, load, seed, breach }, fault);
    const firstSuccess = struck.back === null ? null : await probe(field, load, struck.back);
    done.push({ ...struck, fault, firstSuccess });
    if (firstSuccess !== null && firstSuccess > FIRST_SUCCESS_MS)
      breaches.push({ kind: 'slow', run: '', what: `first success ${firstSuccess} ms after ${fault.kind} (fault ${fault.n})` });
    say(lineOf({ fault, struck, firstSuccess, of: faults.length, load, seconds: (Date.now() - from) / 1000 }));
  }
  return done;
}

type Line = { fault: Fault; struck: Struck; firstSuccess: number | null; of: number; load: Load; seconds: number };

function lineOf({ fault, struck, firstSuccess, of, load, seconds }: Line): string {
  const success = firstSuccess === null ? '' : `, first success after ${firstSuccess} ms`;
  const skipped = struck.skipped === undefined ? '' : `, skipped: ${struck.skipped}`;
  return `${seconds.toFixed(0).padStart(4)} s  ${fault.n}/${of} ${fault.kind}${skipped}${success}; ${load.runs.length} accepted, ${load.open().length} open`;
}

function figuresOf(done: readonly Done[]): Pick<ChaosResult, 'kinds' | 'faults' | 'kills' | 'firstSuccessMs'> {
  const spread = (some: readonly Done[]) => {
    const times = some.map(({ firstSuccess }) => firstSuccess).filter((ms) => ms !== null);
    return times.length === 0 ? null : { p50: round(quantile(times, 0.5)), max: Math.max(...times), n: times.length };
  };
  const kills = (some: readonly Done[]) => some.reduce((sum, { fault }) => sum + fault.kills, 0);
  const kinds = [...Map.groupBy(done, ({ fault }) => fault.kind)].map(([kind, some]) => {
    const skipped = some.find((each) => each.skipped !== undefined)?.skipped;
    const own = { faults: some.length, kills: kills(some), ...(skipped !== undefined && { skipped }), firstSuccessMs: spread(some) };
    return [kind, own] as const;
  });
  return { kinds: Object.fromEntries(kinds), faults: done.length, kills: kills(done), firstSuccessMs: spread(done) };
}
