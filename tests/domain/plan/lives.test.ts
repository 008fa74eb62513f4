import { expect, test } from '@jest/globals';
import { forkOf, type Why } from '../../../src/domain/plan/fork.ts';
import { CANCELLED, COMPLETED, FAILED, outcomeOf, SKIPPED, statusOf, type Outcome } from '../../../src/domain/plan/outcome.ts';
import { countedTasks, mainTasks } from '../../../src/domain/plan/phases.ts';
import { EFFECT } from '../../../src/domain/plan/plan.ts';
import { resetOf } from '../../../src/domain/plan/reset.ts';
import { aBehaviour, aLife, expectedLife, type Life } from '../../support/aLife.ts';
import { liveToEnd, type Ended } from '../../support/aLifeCycle.ts';
import { aPlay, aRow, rowOf, stateOf, type Play, type Row } from '../../support/aPlay.ts';
import { aRandom } from '../../support/aGraph.ts';

const MEANT = { cancel: 'cancelled', force: 'cancelled', timeout: 'timed_out', fail: 'failed' } as const;
/** All random graphs of the suite; another ten thousand with LIVES_FROM=10001. */
const LIVES = 10_000;
const FROM = Number(process.env.LIVES_FROM ?? 1);
const MAX_MORE = 3;

/** What differs between a run that has ended and the model: of tasks that were stopped it only says what else they may be. */
function faultsOf(play: Play, { status, stop, isCleaned, isForced }: Ended): string[] {
  const model = expectedLife(play, play.pinned);
  const faults = [...play.faults];
  const isUndone = isCleaned && status !== 'completed';
  model.outcomes.forEach((outcome, task) => {
    const is = outcomeOf(rowOf(play, task).status);
    const undone = isUndone ? model.undone(outcome, task) : outcome;
    const may: Outcome[] = [undone, ...(isForced ? [outcome] : []), ...(stop === null ? [] : [CANCELLED])];
    if (!may.includes(is)) faults.push(`${task} is ${statusOf(is)}, the model says ${may.map(statusOf).join(' or ')}`);
  });
  model.last.forEach((outcome, i) => {
    const is = outcomeOf(rowOf(play, mainTasks(play.graph) + i).status);
    if (is !== outcome && !(isForced && is === CANCELLED)) faults.push(`last ${i} is ${statusOf(is)}, the model says ${statusOf(outcome)}`);
  });
  const meant = stop === null ? model.status : MEANT[stop];
  if (status !== meant) faults.push(`the run is ${status}, the model says ${meant}`);
  return faults;
}

/** Tasks that run again may do something else this time; most of them do well. */
function otherwise({ graph, does }: Life, tasks: ReadonlySet<number>, random: () => number): Life {
  const anew = does.map((each, task) => {
    if (!tasks.has(task) || task >= mainTasks(graph)) return each;
    const x = random();
    const ends = x < 0.6 ? COMPLETED : x < 0.8 ? FAILED : x < 0.9 ? SKIPPED : each.ends;
    return aBehaviour(random, { ends, take: Math.floor(random() * 3) }, graph.classes[task] === EFFECT);
  });
  return { graph, does: anew };
}

type Second = { how: 'retried' | 'forked'; play: Play; may: (task: number) => boolean };

/** A retry of all that failed, or of some of it; what stays as it was is pinned if the model could not know. */
function retried(before: Play, random: () => number): Second | undefined {
  const state = stateOf(before);
  const main = mainTasks(before.graph);
  const some =
    random() < 0.3
      ? state.outcome.slice(0, main).flatMap((outcome, task) => (outcome !== COMPLETED && random() < 0.5 ? [task] : []))
      : undefined;
  const { tasks } = resetOf(state, some);
  if (tasks.length === 0) return undefined;
  const again = new Set(tasks);
  const rows = new Map(before.rows);
  tasks.forEach((task, i) => rows.set(task, aRow('pending', before.seq + 1 + i, rowOf(before, task).generation + 1)));
  const play = aPlay(otherwise(before, again, random), random, rows);
  state.outcome.slice(0, countedTasks(before.graph)).forEach((outcome, task) => {
    if (!again.has(task) && (some || before.pinned.has(task))) play.pinned.set(task, outcome);
  });
  return { how: 'retried', play, may: (task) => again.has(task) };
}

/** A fork from some tasks, with some outputs given: what it keeps is as in its source, however the rest has changed. */
function forked(before: Play, random: () => number): Second {
  const { graph } = before;
  const state = stateOf(before);
  const some = (share: number) => graph.names.slice(0, mainTasks(graph)).flatMap((_, task) => (random() < share ? [task] : []));
  const given = new Set(some(0.05).filter((task) => graph.kinds[task] !== 'switch'));
  const direct = new Map(some(0.15).map((task): [number, Why] => [task, { type: 'asked' }]));
  const ended = new Map(state.outcome.map((outcome, task) => [task, statusOf(outcome)]));
  const fork = forkOf(graph, { ended, direct, given, partial: new Set() });
  const rows = new Map<number, Row>();
  const kept = [...fork.kept].sort((a, b) => rowOf(before, a).seq - rowOf(before, b).seq);
  for (const task of kept) rows.set(task, { ...rowOf(before, task), seq: rows.size + 2, generation: 0 });
  for (const task of fork.given) rows.set(task, aRow('completed', rows.size + 2));
  const play = aPlay(otherwise(before, new Set(fork.again.keys()), random), random, rows);
  for (const task of kept) if (before.pinned.has(task)) play.pinned.set(task, state.outcome[task] ?? 0);
  for (const task of given) play.pinned.set(task, COMPLETED);
  for (const task of direct.keys()) if (!fork.again.has(task) && !given.has(task)) play.faults.push(`${task} was asked for and is kept`);
  return { how: 'forked', play, may: (task) => fork.again.has(task) };
}

const seen = { retried: 0, forked: 0, stopped: 0, byHand: 0, undone: 0, rounds: 0, lost: 0 };

function count({ rows, pinned }: Play, { stop }: Ended): void {
  seen.stopped += Number(stop !== null);
  seen.byHand += pinned.size;
  for (const { status, losses, rounds } of rows.values()) {
    seen.undone += Number(status === 'compensated');
    seen.lost += losses;
    seen.rounds += rounds;
  }
}

/** Lives a run of a seed to its end, runs it again or forks it, and so on. @returns what is wrong */
function storyOf(seed: number): string[] {
  const random = aRandom(seed * 31);
  let play = aPlay(aLife(random), random);
  let may: Second['may'] = () => true;
  for (let life = 0; ; life++) {
    const ended = liveToEnd(play);
    const faults = faultsOf(play, ended);
    for (const task of play.worked) if (task < countedTasks(play.graph) && !may(task)) faults.push(`${task} was done and ran again`);
    if (faults.length > 0) return faults.map((fault) => `life ${life}: ${fault}`);
    count(play, ended);
    const x = life < MAX_MORE ? random() : 1;
    const second = x < 0.4 && ended.status !== 'completed' ? retried(play, random) : x < 0.7 ? forked(play, random) : undefined;
    if (!second) return [];
    seen[second.how]++;
    ({ play, may } = second);
  }
}

test('10,000 random graphs with joins, loops, compensations and finally, retried and forked, in which people ask for things at any moment, end as the model says', () => {
  for (let seed = FROM; seed < FROM + LIVES; seed++) expect({ seed, faults: storyOf(seed) }).toEqual({ seed, faults: [] });
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(1_000);
});
