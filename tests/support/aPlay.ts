import { afterRound } from '../../src/domain/plan/loop.ts';
import { next } from '../../src/domain/plan/next.ts';
import { CANCELLED, COMPLETED, FAILED, isFinal, isFinalStatus, SKIPPED, statusOf, type Outcome } from '../../src/domain/plan/outcome.ts';
import type { TaskStatus } from '../../src/domain/plan/outcome.ts';
import { COMPENSATE, countedTasks, FINALLY, MAIN, mainTasks, phaseOf, type Phase } from '../../src/domain/plan/phases.ts';
import { isWorthRetrying, triesOf } from '../../src/domain/plan/retry.ts';
import {
  createState,
  recordRows,
  RUN,
  verdict,
  type GraphState,
  type Intent,
  type OutcomeRow,
  type Stop,
} from '../../src/domain/plan/state.ts';
import type { Does, Life } from './aLife.ts';

/** A task as its row has it. While it is retrying, `branch` counts the rounds of its loop; `rounds` does so for good. */
export type Row = { status: TaskStatus; seq: number; generation: number; branch: number; attempt: number; losses: number; rounds: number };

/** A run: its rows, which are the truth, and what the execution that carries it knows of them. */
export type Play = Life & {
  random: () => number;
  rows: Map<number, Row>;
  seq: number;
  phase: Phase;
  /** Tasks that have not ended, as the database counts them. */
  open: number;
  intent: Intent | null;
  paused: boolean;
  held: Set<number>;
  /** How often somebody will ask for something. */
  commands: number;
  /** What somebody ended by hand. */
  pinned: Map<number, Outcome>;
  state: GraphState;
  /** Why nothing begins, as the execution has heard. */
  stop: Stop | null;
  /** What it is at work on; true: the attempt has a claim. */
  running: Map<number, boolean>;
  /** Tasks in the order in which they ended, and those that began to do something. */
  ended: { task: number; outcome: Outcome }[];
  worked: Set<number>;
  faults: string[];
  /** All that was told of tasks at some time. */
  told: OutcomeRow[];
};

export const aRow = (status: TaskStatus, seq: number, generation = 0): Row => ({
  ...{ status, seq, generation, branch: 0, attempt: 0, losses: 0, rounds: 0 },
});

export function aPlay(life: Life, random: () => number, rows = new Map<number, Row>()): Play {
  const isOpen = (task: number): boolean => !isFinalStatus(rows.get(task)?.status ?? 'pending');
  const counted = Array.from({ length: countedTasks(life.graph) }, (_, task) => task);
  const play: Play = {
    ...{ ...life, random, rows, seq: Math.max(0, ...[...rows.values()].map(({ seq }) => seq)), phase: MAIN, open: 0 },
    ...{ intent: null, paused: false, held: new Set(), commands: random() < 0.5 ? 0 : Math.floor(random() * 5), pinned: new Map() },
    ...{ state: createState(life.graph), stop: null, running: new Map(), ended: [], worked: new Set(), faults: [], told: [] },
    ...{ open: counted.filter(isOpen).length },
  };
  loadAgain(play);
  return play;
}

export const stopOf = ({ intent, phase, paused }: Play): Stop | null => {
  if (intent !== null && (intent === 'force' || phase === MAIN)) return intent;
  return paused ? 'pause' : null;
};

/** An activity that was slow tells what was so a while ago. */
function hearOldNews({ random, state, told, running }: Play): void {
  const old = told[Math.floor(random() * told.length)];
  // what is at work may be told of by its activity alone
  if (old && !running.has(state.index.get(old[0]) ?? -1)) recordRows(state, [old]);
}

/** The execution was lost; another one begins with what the rows say. */
function loadAgain(play: Play): void {
  play.state = createState(play.graph, play.phase);
  play.running.clear();
  look(play);
}

const read = ({ rows, graph }: Play, state: GraphState): void => {
  recordRows(
    state,
    [...rows].map(([task, { status, seq, generation, branch }]) => [graph.names[task] ?? '', status, seq, generation, branch]),
  );
};

/** What the rows say, to somebody who knows nothing yet. */
export function stateOf(play: Play): GraphState {
  const state = createState(play.graph, play.phase);
  read(play, state);
  return state;
}

/** Reads what is new. */
export function look(play: Play): void {
  const { state, running } = play;
  read(play, state);
  state.held = new Set(play.held);
  play.stop = stopOf(play);
  for (const task of running.keys()) if (isFinal(state.outcome[task] ?? 0)) land(play, task);
}

const land = ({ running, state }: Play, task: number): void => {
  running.delete(task);
  state.busy.delete(task);
};

export const rowOf = ({ rows }: Pick<Play, 'rows'>, task: number): Row => rows.get(task) ?? aRow('pending', 0);

/** Writes how a task ended, if nobody has before. */
function end(play: Play, task: number, outcome: Outcome): boolean {
  const row = rowOf(play, task);
  if (isFinalStatus(row.status)) return false;
  const branch = outcome === COMPLETED ? (play.does[task]?.take ?? 0) : 0;
  play.rows.set(task, { ...row, status: statusOf(outcome), branch, seq: ++play.seq });
  play.open--;
  play.ended.push({ task, outcome });
  return true;
}

/** As the claim of an attempt: of what has ended, or may not begin, there is none. */
function claim(play: Play, task: number): boolean {
  const row = rowOf(play, task);
  if (isFinalStatus(row.status) || stopOf(play) !== null || play.held.has(task)) {
    land(play, task);
    look(play);
    return false;
  }
  checkBegin(play, task);
  const losses = row.losses + Number(row.status === 'running');
  play.rows.set(task, { ...row, status: 'running', seq: ++play.seq, attempt: row.attempt + 1, losses });
  play.running.set(task, true);
  play.worked.add(task);
  return true;
}

/** Whether it is its turn, told from the rows alone. */
function checkBegin({ graph, rows, faults, phase, running }: Play, task: number): void {
  const done = (other: number): boolean => isFinalStatus(rows.get(other)?.status ?? 'pending');
  const own = phaseOf(graph, task);
  const settled = (graph.deps[task] ?? []).filter(([dependency]) => done(dependency)).length;
  const need = graph.need[task] ?? 0;
  if (settled < (need > 0 ? need : (graph.deps[task]?.length ?? 0))) faults.push(`${task} began before what it needs`);
  if (own !== phase) faults.push(`${task} of phase ${own} began in phase ${phase}`);
  if (own === COMPENSATE && running.size > 1) faults.push(`${task} is undone beside something else`);
  const before = own === MAIN ? 0 : mainTasks(graph);
  for (let other = 0; other < before; other++) if (!done(other)) faults.push(`${task} began before ${other} had settled`);
}

/** An attempt comes to something: its worker dies, a try fails, a round or the task ends. */
function attempt(play: Play, task: number): void {
  const { random, state, does } = play;
  const one = does[task];
  const decided = verdict(state, task);
  if (decided !== RUN || !one) settle(play, task, decided);
  else if (!play.running.get(task) && !claim(play, task)) return;
  else if (random() < 0.08)
    play.running.set(task, false); // lost: Temporal gives it to somebody else
  else if (play.stop !== null && play.stop !== 'pause' && random() < 0.5)
    settle(play, task, CANCELLED); // it heard of it
  else if (one.tries.length === 0) settle(play, task, one.ends);
  else tryOnce(play, task, one);
}

function tryOnce(play: Play, task: number, { tries, limit, loop, meets, ends }: Does): void {
  const row = rowOf(play, task);
  const round = row.branch;
  const isGood = tries[Math.min(row.attempt - row.losses - 1, tries.length - 1)] ?? true;
  const roundEnd = isGood && loop ? afterRound(loop, round + 1, round + 1 >= meets) : 'completed';
  const isTriedAgain = !isGood && isWorthRetrying(policyOf(limit), { code: 'http_status', retryable: true }, triesOf({ ...row, round }));
  if (isTriedAgain) again(play, task, round);
  else if (!isGood) settle(play, task, ends === COMPLETED ? FAILED : ends);
  else if (roundEnd === 'again') again(play, task, round + 1);
  else settle(play, task, roundEnd === 'completed' ? COMPLETED : FAILED);
}

const policyOf = (limit: number) => ({ limit, delayMs: 0, backoff: 1, maxDelayMs: 0, jitter: 0 });

function again(play: Play, task: number, round: number): void {
  const row = rowOf(play, task);
  if (!isFinalStatus(row.status)) {
    play.rows.set(task, { ...row, status: 'retrying', branch: round, rounds: round, seq: ++play.seq });
    play.told.push([play.graph.names[task] ?? '', 'retrying', play.seq, row.generation, round]);
  }
  play.running.set(task, false);
}

/** The end of an attempt; now and then its worker dies before it could tell. */
function settle(play: Play, task: number, outcome: Outcome): void {
  end(play, task, outcome);
  if (play.random() < 0.08) return void play.running.set(task, false);
  land(play, task);
  const { status, seq, generation, branch } = rowOf(play, task);
  const row: OutcomeRow = [play.graph.names[task] ?? '', status, seq, generation, branch];
  play.told.push(row);
  recordRows(play.state, [row]);
}

/** What somebody asks of the run at this moment. */
function ask(play: Play): void {
  const { random, graph, phase, held } = play;
  const some = (share: number) => graph.names.flatMap((_, task) => (random() < share ? [task] : []));
  play.commands--;
  const x = random();
  if (x < 0.25) play.paused = !play.paused;
  else if (x < 0.5) for (const task of some(0.3)) if (!held.delete(task)) held.add(task);
  if (x >= 0.5 && x < 0.85) byHand(play, some(0.2)[0]);
  if (x >= 0.85) {
    const force = random() < 0.3 || play.intent === 'cancel';
    if (force) play.intent = 'force';
    else if (phase === MAIN) play.intent ??= random() < 0.5 ? 'cancel' : 'timeout';
    else if (phase === FINALLY && random() < 0.5) play.intent = 'force'; // its time is over
  }
  if (random() < 0.5) look(play);
}

/** Skips or completes a task that has not ended. Which branch a switch takes cannot be said by hand. */
function byHand(play: Play, task: number | undefined): void {
  const { graph, random } = play;
  if (task === undefined || phaseOf(graph, task) !== play.phase || play.phase === COMPENSATE) return;
  const outcome = graph.kinds[task] === 'switch' || random() < 0.5 ? SKIPPED : COMPLETED;
  if (end(play, task, outcome)) play.pinned.set(task, outcome);
}

const MAX_TURNS = 3_000;
const ROOM = 3;

/** Ends what `next` starts in a random order, while executions are lost and people ask for things, until nothing of the phase is open. */
export function drive(play: Play): void {
  const { random, running } = play;
  for (let turn = 0; play.state.open > 0; turn++) {
    if (turn > MAX_TURNS) throw new Error('does not end');
    if (play.commands > 0 && random() < 0.15) ask(play);
    if (random() < 0.04) loadAgain(play);
    if (random() < 0.1) hearOldNews(play);
    const { state } = play;
    const before = [...running.keys()];
    const steps = next(state, play.stop, ROOM);
    if (steps.sweep) {
      sweep(play, steps.sweep);
      continue;
    }
    for (const task of [...steps.effects, ...steps.roots]) {
      if (before.includes(task) || state.held.has(task)) play.faults.push(`${task} was begun and is at work or held`);
      running.set(task, false);
    }
    const picked = [...running.keys()][Math.floor(random() * running.size)];
    if (picked !== undefined) attempt(play, picked);
    else calm(play);
  }
}

/** Nothing is at work and nothing begins: it is paused, or something was asked of which the execution has not heard. */
function calm(play: Play): void {
  if (play.random() < 0.5) play.paused = false;
  if (play.random() < 0.5) play.held.clear();
  look(play);
}

/** Whatever has not ended is cancelled, all at once; an attempt at work on it can write nothing any more. */
export function sweep(play: Play, { tasks, intent }: { tasks: number[]; intent: Intent }): void {
  play.intent ??= intent;
  for (const task of tasks) end(play, task, CANCELLED);
  look(play);
}
