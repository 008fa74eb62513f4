import { createHash } from 'node:crypto';
import { createCommands, type Commands } from '../../src/db/commands.ts';
import { createSubmits, type Submits } from '../../src/db/submit.ts';
import { fold } from '../../src/domain/run/fold.ts';
import type { RunEvent } from '../../src/domain/run/events.ts';
import { Problem } from '../../src/domain/problem.ts';
import { sampleOf, type Sample } from './definitions.ts';
import { calm, createFaults } from './faults.ts';
import { Violation } from './watch.ts';
import { createWorld, type World } from './world.ts';

export type Outcome = { steps: number; simulatedMs: number; faults: number; corrections: { [reason: string]: number } };

const WORKSPACE = '00000000-0000-7000-8000-000000000001';
/** How long a world may take to end everything once nothing goes wrong any more. */
const BOUND_MS = 180_000;
const MAX_STEPS = 150_000;

type Client = { submits: Submits; commands: Commands };
type Accepted = { run: string; sample: Sample; cancelled: boolean };

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
  const { seed } = world;
  const { clock, random } = world;
  const workers = 1 + Math.floor(random() * 3);
  for (let i = 0; i < workers; i++) world.boot();
  const client: Client = { submits: undefined as unknown as Submits, commands: undefined as unknown as Commands };
  clock.as(0, () => Object.assign(client, { submits: createSubmits({ url: '' }), commands: createCommands({ url: '' }) }));
  const accepted = new Map<string, Accepted>();
  const wanted = 1 + Math.floor(random() * 3);
  for (let i = 0; i < wanted; i++)
    clock.after(
      random() * 1_500,
      () => {
        submitOften(world, client, { key: `k${i}`, sample: sampleOf(seed * 3 + i), accepted });
      },
      0,
    );
  const faults = createFaults(world, (run, force) => {
    cancel(world, client, { run, force, accepted });
  });
  let calmSince = 0;
  while (clock.steps() < MAX_STEPS) {
    if (!faults.over()) faults.perhaps();
    else if (calmSince === 0) {
      calm(world, workers);
      calmSince = clock.now() + 1;
    }
    if (!clock.step()) break;
    if (calmSince > 0 && accepted.size === wanted && isQuiet(world)) break;
    if (calmSince > 0 && clock.now() > calmSince + BOUND_MS) break;
  }
  if (accepted.size < wanted) throw new Violation(`only ${accepted.size} of ${wanted} submits were answered`);
  for (const one of accepted.values()) checkRun(world, one);
  if (world.tables.runs.size !== wanted) throw new Violation(`${wanted} submits made ${world.tables.runs.size} runs`);
  checkExecutions(world);
  return { steps: clock.steps(), simulatedMs: clock.now(), faults: faults.count(), corrections: world.corrections };
}

function isQuiet({ tables, temporal }: World): boolean {
  for (const { state } of tables.runs.values()) if (state.finished === null) return false;
  for (const { status } of temporal.executions.values()) if (status === 'RUNNING') return false;
  return true;
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Submits under one key, sometimes twice at once, until somebody answers. */
function submitOften(world: World, client: Client, given: { key: string; sample: Sample; accepted: Map<string, Accepted> }): void {
  const { key, sample, accepted } = given;
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
        ...{ plan: { hash: hash(sample.body), body: sample.body }, tasks: sample.plan.tasks.length, createdBy: 'key:1' },
        ...(sample.plan.deadlineMs !== undefined && { deadlineMs: sample.plan.deadlineMs }),
      })
      .then(({ outcome, runId }) => {
        const known = accepted.get(key);
        if (outcome === 'conflict' || (known && known.run !== runId))
          throw new Violation(`submit ${key} was answered ${outcome} ${runId} after ${known?.run ?? 'nothing'}`);
        accepted.set(key, known ?? { run: runId, sample, cancelled: false });
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

function checkRun(world: World, { run, sample, cancelled }: Accepted): void {
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
  const commanded = rows.commands.length > 0;
  if (cancelled && !commanded) throw new Violation(`the cancel of ${run} was answered and is lost`);
  for (const row of rows.tasks.values()) {
    const name = names[row.task] ?? '';
    if (row.item !== -1) continue;
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
