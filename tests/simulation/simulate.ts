import { createHash } from 'node:crypto';
import { createCommands, type Command, type Commands } from '../../src/db/commands.ts';
import { createForks, type Forks } from '../../src/db/forks.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { isFinalStatus, type TaskStatus } from '../../src/domain/plan/outcome.ts';
import { countedTasks, MAIN, mainTasks, phaseOf, undoneBy } from '../../src/domain/plan/phases.ts';
import type { Plan } from '../../src/domain/plan/plan.ts';
import { resetOf } from '../../src/domain/plan/reset.ts';
import { createState, recordRows } from '../../src/domain/plan/state.ts';
import { fold } from '../../src/domain/run/fold.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { Problem } from '../../src/domain/problem.ts';
import { newest, type RunRows } from './database/tables.ts';
import { sampleOf, type Sample } from './definitions.ts';
import { checkRounds, createSenders, type Senders } from './events.ts';
import { calm, createFaults } from './faults.ts';
import { openConnection } from './substitutes/connection.ts';
import { checkFork, forkOften, type Forked } from './forks.ts';
import { Violation } from './watch.ts';
import { createWorld, type World } from './world.ts';

export type Outcome = {
  steps: number;
  simulatedMs: number;
  faults: number;
  endedAtOnce: number;
  corrections: { [reason: string]: number };
};

const WORKSPACE = '00000000-0000-7000-8000-000000000001';
/** How long a world may take to end everything once nothing goes wrong any more. */
const BOUND_MS = 180_000;
const MAX_STEPS = 150_000;

type Client = { submits: Submits; commands: Commands; forks: Forks };
type Accepted = { run: string; sample: Sample; cancelled: boolean; forked?: Forked };

/** Lives through one world. @throws Violation, or whatever the product threw where nothing may be thrown */
export function simulate(seed: number, trace?: (line: string) => void): Outcome {
  const world = createWorld(seed, trace);
  try {
    return live(world);
  } finally {
    world.outside.close();
  }
}

function live(world: World): Outcome {
  const { seed, clock, random } = world;
  const workers = 1 + Math.floor(random() * 3);
  for (let i = 0; i < workers; i++) world.boot();
  const client = aClient(clock);
  const senders = openSenders(world);
  const accepted = new Map<string, Accepted>();
  let wanted = 1 + Math.floor(random() * 3);
  for (let i = 0, first = wanted; i < first; i++)
    clock.after(
      random() * 1_500,
      () => {
        submitOften(world, client, { key: `k${i}`, sample: sampleOf(seed * 3 + i), accepted, onAccepted: senders.accepted });
      },
      0,
    );
  const faults = createFaults(world, {
    cancel: (run, force) => {
      cancel(world, client, { run, force, accepted });
    },
    pause: (run) => {
      pauseAndResume(world, client, run);
    },
    retry: (run) => {
      retry(world, client, run);
    },
    settle: (run) => {
      settle(world, client, run);
    },
    fork: (run) => {
      wanted += fork(world, client, { run, nth: wanted, accepted, onAccepted: senders.accepted });
    },
  });
  let calmSince = 0;
  while (clock.steps() < MAX_STEPS) {
    if (!faults.over()) faults.perhaps();
    else if (calmSince === 0) {
      calm(world, workers);
      resumeAll(world, client);
      calmSince = clock.now() + 1;
    }
    if (!clock.step()) break;
    if (calmSince > 0 && accepted.size === wanted && senders.unanswered() === 0 && isQuiet(world)) break;
    if (calmSince > 0 && clock.now() > calmSince + BOUND_MS) break;
  }
  if (accepted.size < wanted) throw new Violation(`only ${accepted.size} of ${wanted} submits were answered`);
  const made = [...accepted.values()].filter(({ run }) => run !== '');
  for (const one of made) checkRun(world, one);
  senders.check();
  if (world.tables.runs.size !== made.length) throw new Violation(`${made.length} submits made ${world.tables.runs.size} runs`);
  checkExecutions(world);
  return {
    steps: clock.steps(),
    simulatedMs: clock.now(),
    faults: faults.count(),
    endedAtOnce: world.endedAtOnce,
    corrections: world.corrections,
  };
}

/** In a process of its own, as an api is. */
function aClient(clock: World['clock']): Client {
  const client: Client = {
    submits: undefined as unknown as Submits,
    commands: undefined as unknown as Commands,
    forks: undefined as unknown as Forks,
  };
  clock.as(0, () =>
    Object.assign(client, { submits: createSubmits({ url: '' }), commands: createCommands({ url: '' }), forks: createForks({ url: '' }) }),
  );
  return client;
}

/** In a process of its own, as an api is. */
function openSenders(world: World): Senders {
  let senders: Senders | undefined;
  world.clock.as(0, () => {
    const { rows } = openConnection({ url: '', name: 'events' });
    senders = createSenders(world, { workspace: WORKSPACE, rows: (statement) => rows(statement) });
  });
  return senders as unknown as Senders;
}

function isQuiet({ tables, temporal }: World): boolean {
  for (const { state } of tables.runs.values()) if (state.finished === null) return false;
  for (const { status } of temporal.executions.values()) if (status === 'RUNNING') return false;
  return true;
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

type Submitting = { key: string; sample: Sample; accepted: Map<string, Accepted>; onAccepted: (run: string, sample: Sample) => void };

/** Submits under one key, sometimes twice at once, until somebody answers. */
function submitOften(world: World, client: Client, given: Submitting): void {
  const { key, sample, accepted, onAccepted } = given;
  const mode = world.random() < 0.5 ? 'express' : 'standard';
  const submit = (): void => {
    client.submits
      .submitRun({
        ...{
          workspace: WORKSPACE,
          principal: 'key:1',
          key,
          requestHash: hash(key),
          definition: 'sample',
          mode,
          priority: 0,
          labels: {},
          artifacts: [],
        },
        ...{ plan: { hash: hash(sample.body), body: sample.body }, tasks: countedTasks(sample.plan.graph), createdBy: 'key:1' },
        ...(sample.plan.deadlineMs !== undefined && { deadlineMs: sample.plan.deadlineMs }),
      })
      .then(({ outcome, runId }) => {
        const known = accepted.get(key);
        if (outcome === 'conflict' || (known && known.run !== runId))
          throw new Violation(`submit ${key} was answered ${outcome} ${runId} after ${known?.run ?? 'nothing'}`);
        accepted.set(key, known ?? { run: runId, sample, cancelled: false });
        onAccepted(runId, sample);
      })
      .catch((error: unknown) => {
        if (!(error instanceof Problem)) throw error;
        world.clock.after(200, submit, 0);
      });
  };
  submit();
  if (world.random() < 0.3) world.clock.after(world.random() * 3_000, submit, 0);
}

function cancel(world: World, client: Client, given: { run: string; force: boolean; accepted: Map<string, Accepted> }): void {
  const { run, force, accepted } = given;
  world.trace(`a client cancels ${run}${force ? ' by force' : ''}`);
  client.commands.command({ run, workspace: WORKSPACE, type: 'cancel', by: 'key:1', force }).then(
    (seq) => {
      if (world.tables.runs.get(run)?.events[seq - 1]?.type !== 'command.cancel')
        throw new Violation(`command ${seq} of ${run} was answered and is not there`);
      for (const one of accepted.values()) if (one.run === run) one.cancelled = true;
    },
    (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
    },
  );
}

/** One command, and what it was told: a refusal is an answer too, and a lost answer leaves it open whether it came. */
function command(world: World, client: Client, given: Command): void {
  world.trace(`a client asks ${given.run} to ${given.type}`);
  client.commands.command(given).catch((error: unknown) => {
    if (!(error instanceof Problem)) throw error;
  });
}

const BY = { workspace: WORKSPACE, by: 'key:1' };

function someTasks({ random, tables }: World, run: string): { indexes: number[]; names: string[] } {
  const total = tables.runs.get(run)?.state.total ?? 0;
  const indexes = Array.from({ length: total }, (_, task) => task).filter(() => random() < 0.4);
  return { indexes, names: indexes.map(String) };
}

function pauseAndResume(world: World, client: Client, run: string): void {
  const tasks = world.random() < 0.5 ? {} : { tasks: someTasks(world, run) };
  command(world, client, { ...BY, run, type: 'pause', ...tasks });
  world.clock.after(
    world.random() * 4_000,
    () => {
      command(world, client, { ...BY, run, type: 'resume' });
    },
    0,
  );
}

/** Nobody leaves a run paused for ever. */
function resumeAll(world: World, client: Client): void {
  for (const [run, { state }] of world.tables.runs)
    if (state.finished === null && (state.paused || state.held !== null)) command(world, client, { ...BY, run, type: 'resume' });
  world.clock.after(
    500,
    () => {
      resumeAll(world, client);
    },
    0,
  );
}

/** As the api does it: what is to run again follows from the rows, and the number of the last event says that they still stand so. */
function retry(world: World, client: Client, run: string): void {
  const rows = world.tables.runs.get(run);
  const plan = rows && (JSON.parse(world.tables.plans.get(rows.plan) ?? 'null') as Plan | null);
  if (!plan || rows.state.finished === null || rows.state.status === 'completed') return;
  const state = createState(plan.graph);
  const { names } = plan.graph;
  recordRows(
    state,
    newest(rows, null).map(({ task, status, seq, generation }) => [names[task] ?? '', status, seq, generation]),
  );
  const { tasks, keepItems } = resetOf(state);
  if (tasks.length === 0) return;
  command(world, client, { ...BY, run, type: 'retry', seq: rows.state.lastSeq, tasks: { indexes: tasks, names: [] }, keepItems });
}

function settle(world: World, client: Client, run: string): void {
  const task = someTasks(world, run).indexes[0];
  const rows = world.tables.runs.get(run);
  if (task === undefined || !rows) return;
  const main = mainTasks((JSON.parse(world.tables.plans.get(rows.plan) ?? '') as Plan).graph);
  if (world.random() < 0.5) command(world, client, { ...BY, run, type: 'skip', task, main, item: -1 });
  else command(world, client, { ...BY, run, type: 'complete', task, main, item: -1, output: { output: '1', outputSize: 1 } });
}

/** @returns how many runs more will be answered */
function fork(world: World, { forks }: Client, given: { run: string; nth: number } & Pick<Submitting, 'accepted' | 'onAccepted'>): number {
  const { run: source, nth, accepted, onAccepted } = given;
  const sample = [...accepted.values()].find(({ run }) => run === source)?.sample;
  if (sample === undefined) return 0;
  const key = `fork ${nth} of ${source}`;
  const onForked = (run: string, forked: Forked): void => {
    accepted.set(key, { run, sample, cancelled: false, forked });
    if (run !== '') onAccepted(run, sample);
  };
  forkOften({ world, forks, workspace: WORKSPACE, key, onForked }, source, sample);
  return 1;
}

/** What cleans up comes after all else, what is undone in the reverse order of its completion. */
function checkOrder(rows: RunRows, { plan: { graph } }: Sample): void {
  const since = rows.events.findLast(({ type }) => type === 'run.reopened')?.seq ?? 0;
  const events = rows.events.filter(({ seq, item }) => seq > since && item === null);
  const endOf = (task: number): number =>
    rows.events.findLast(
      (event) =>
        event.task === task &&
        event.item === null &&
        isFinalStatus(event.type.slice('task.'.length) as TaskStatus) &&
        event.type !== 'task.compensated',
    )?.seq ?? 0;
  const settled = events.find(({ type }) => type === 'run.compensating' || type === 'run.finishing')?.seq;
  for (const { seq, type, task } of events) {
    if (task === null || type === 'task.compensated' || type === 'task.cancelled' || type === 'task.pending') continue;
    const isLate = phaseOf(graph, task) !== MAIN;
    if (isLate !== (settled !== undefined && seq > settled))
      throw new Violation(`event ${seq} of ${rows.state.run}, ${type} ${graph.names[task] ?? ''}, is out of its phase`);
  }
  const undone = events
    .flatMap(({ type, task }) => (type === 'task.completed' && task !== null ? [undoneBy(graph, task) ?? -1] : []))
    .filter((task) => task >= 0);
  const order = undone.map(endOf);
  if (order.some((seq, i) => i > 0 && seq > (order[i - 1] ?? 0)))
    throw new Violation(`run ${rows.state.run} undid ${undone.join()} in a wrong order`);
}

/** A run, or one that it was forked from, in which somebody ended something by hand: what is kept of it the model does not know. */
function isMeddledWith({ tables }: World, run: string): boolean {
  const rows = tables.runs.get(run);
  const byHand = rows?.commands.some(({ type }) => type === 'skip' || type === 'complete') ?? false;
  return byHand || (typeof rows?.forkedFrom === 'string' && isMeddledWith({ tables } as World, rows.forkedFrom));
}

function checkRun(world: World, { run, sample, cancelled, forked }: Accepted): void {
  const rows = world.tables.runs.get(run);
  if (!rows) throw new Violation(`run ${run} was accepted and is lost`);
  const { status, finished } = rows.state;
  if (finished === null) throw new Violation(`run ${run} is stuck: ${status}, ${rows.state.open} tasks open, ${rows.state.lastSeq} events`);
  const { names } = sample.plan.graph;
  const events = rows.events.map(
    ({ seq, type, task, item, attempt, data }) =>
      ({
        seq,
        type,
        at: '',
        runId: run,
        ...(task !== null && { task: names[task] }),
        ...(item !== null && { item }),
        attempt: attempt ?? undefined,
        data: data === null ? undefined : (JSON.parse(data) as unknown),
      }) as RunEvent,
  );
  const view = fold(events);
  if (view.status !== status) throw new Violation(`the events of ${run} end in ${view.status}, its row in ${status}`);
  const commanded = rows.commands.some(({ type }) => type === 'cancel') || isMeddledWith(world, run);
  if (forked) checkFork(world, run, forked);
  checkOrder(rows, sample);
  checkRounds(world, rows, sample);
  if (cancelled && !commanded) throw new Violation(`the cancel of ${run} was answered and is lost`);
  for (const row of newest(rows, null)) {
    const name = names[row.task] ?? '';
    if (view.tasks[name]?.status !== row.status)
      throw new Violation(`the events of task ${name} of ${run} end in ${view.tasks[name]?.status ?? 'nothing'}, its row in ${row.status}`);
    if (!commanded && !sample.deadline && !sample.failFast && sample.outcomes[name] !== row.status)
      throw new Violation(`task ${name} of ${run} is ${row.status}, the model says ${sample.outcomes[name] ?? 'nothing'}`);
  }
  if (!commanded && !sample.deadline && status !== sample.status)
    throw new Violation(`run ${run} is ${status}, the model says ${sample.status}`);
}

function checkExecutions({ temporal }: World): void {
  for (const { id, status } of temporal.executions.values())
    if (status === 'RUNNING') throw new Violation(`${id} runs on though everything has ended`);
}
