import os from 'node:os';
import { machine } from '../../processes.ts';
import { quantile, round } from '../../spread.ts';
import { aRandom } from '../../../tests/support/aGraph.ts';
import type { Breach } from '../checkRun.ts';
import { openField, type Field } from '../field.ts';
import { verify } from '../verify.ts';
import { installGates } from './gate.ts';
import { playStep, type Played } from './playStep.ts';
import { STEPS, type SceneName, type Step } from './scenes.ts';

export type StepsOptions = {
  seed: number;
  /** Processes to kill at least: whole rounds of all steps, unless there are fewer than steps. */
  kills: number;
  say?: (line: string) => void;
  signal?: AbortSignal;
};

/** Each step four times. */
export const STEP_KILLS = 4 * STEPS.length;

type Spread = { p50: number; max: number };
export type StepsResult = {
  at: string;
  machine: string;
  load: number;
  seed: number;
  seconds: number;
  kills: number;
  /** Different steps at which somebody was killed, of how many. */
  steps: [struck: number, of: number];
  scenes: Record<string, { kills: number; apis: number; msToEnd: Spread }>;
  runs: number;
  tasks: number;
  events: number;
  keys: number;
  /** Calls that were repeated because their caller had died; others that were. */
  repeated: number;
  unexplained: number;
  breaches: Breach[];
};

/** So many of each scene in turn, so that a few kills are of all of them. */
export function planSteps({ seed, kills }: Pick<StepsOptions, 'seed' | 'kills'>): Step[] {
  const random = aRandom(seed);
  const shuffled = (): Step[] =>
    STEPS.map((step) => ({ step, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ step }) => step);
  if (kills >= STEPS.length) return Array.from({ length: Math.ceil(kills / STEPS.length) }, shuffled).flat();
  const scenes = [...Map.groupBy(shuffled(), ({ scene }) => scene).values()];
  return Array.from({ length: kills }, (_, i) => scenes[i % scenes.length]?.[Math.floor(i / scenes.length)]).filter(
    (step) => step !== undefined,
  );
}

/** Kills a process at each named step of a plan, one after the other, and checks each run that was at it. */
export async function runSteps(options: StepsOptions): Promise<StepsResult> {
  const say = options.say ?? (() => undefined);
  const steps = planSteps(options);
  const field = await openField();
  const from = Date.now();
  try {
    await installGates(field.cluster);
    const played = await playAll(field, steps, { ...options, say });
    const verified = await verify(
      field,
      played.flatMap(({ runs }) => runs),
      [],
    );
    const own = played.flatMap(({ step, runs, faults }) =>
      faults.map((what): Breach => ({ kind: 'outcome', run: runs[0]?.id ?? '', what: `${step.name}: ${what}` })),
    );
    return {
      ...{ at: new Date(from).toISOString(), machine: machine(), load: round(os.loadavg()[1] ?? 0), seed: options.seed },
      ...{ seconds: round((Date.now() - from) / 1000), ...figuresOf(played) },
      ...{ tasks: verified.tasks, events: verified.events, keys: verified.keys, breaches: [...own, ...verified.breaches] },
    };
  } finally {
    await field.close();
  }
}

/** Whoever was killed is replaced; one of them may still be on its way when the next is killed. */
async function playAll(
  field: Field,
  steps: readonly Step[],
  { say, signal }: StepsOptions & { say: (line: string) => void },
): Promise<Played[]> {
  const played: Played[] = [];
  let arrival: Promise<unknown> = Promise.resolve();
  for (const [n, step] of steps.entries()) {
    if (signal?.aborted === true) break;
    await arrival;
    const one = await playStep(field, step, n).catch((error: unknown): Played => missed(step, error));
    played.push(one);
    say(
      `${n + 1}/${steps.length} ${step.victim}: ${step.scene}, ${step.name}; ended ${one.ms} ms later${one.faults.map((fault) => `; ${fault}`).join('')}`,
    );
    arrival = Promise.all([...field.workers, ...field.apis].map((place) => place.fill()));
  }
  await arrival;
  return played;
}

/** Nobody came to the step, or the run did not end. */
const missed = (step: Step, error: unknown): Played => ({
  ...{ step, runs: [], ms: 0, repeated: 0, unexplained: 0 },
  faults: [error instanceof Error ? error.message : String(error)],
});

function figuresOf(played: readonly Played[]): Pick<StepsResult, 'kills' | 'steps' | 'scenes' | 'runs' | 'repeated' | 'unexplained'> {
  const spread = (some: readonly Played[]): Spread => {
    const times = some.map(({ ms }) => ms);
    return { p50: round(quantile(times, 0.5)), max: Math.max(...times) };
  };
  const scenes = [...Map.groupBy(played, ({ step }) => step.scene)].map(([scene, some]): [SceneName, StepsResult['scenes'][string]] => [
    scene,
    { kills: some.length, apis: some.filter(({ step }) => step.victim === 'api').length, msToEnd: spread(some) },
  ]);
  return {
    kills: played.length,
    steps: [new Set(played.map(({ step }) => step.scene + step.name)).size, STEPS.length],
    scenes: Object.fromEntries(scenes),
    runs: played.reduce((sum, { runs }) => sum + runs.length, 0),
    repeated: played.reduce((sum, { repeated }) => sum + repeated, 0),
    unexplained: played.reduce((sum, { unexplained }) => sum + unexplained, 0),
  };
}
