import type { Statement } from '../../src/db/database.ts';
import { aRandom } from '../support/aGraph.ts';
import { add } from './temporal/execution.ts';
import { cancel as cancelExecution, terminate } from './temporal/server.ts';
import { wake } from './temporal/workflowTasks.ts';
import type { Odds, World } from './world.ts';

/** Something that goes wrong at one instant. */
type Fault = (world: World) => void;

const some = <T>(world: World, from: Iterable<T>): T | undefined => {
  const all = [...from];
  return all[Math.floor(world.random() * all.length)];
};

const ms = (world: World, most: number): number => world.random() * most;

function kill(world: World): void {
  const victim = some(world, world.processes);
  if (!victim) return;
  world.trace(`worker ${victim.owner} is killed`);
  world.clock.setStanding(victim.owner, 'dead');
  world.processes.delete(victim);
  world.tables.locks.delete(victim.worker);
  world.temporal.hosts.delete(victim);
  world.clock.after(ms(world, 3_000), world.boot, 0);
}

/** Stopped, and continued as a zombie that knows nothing of it. */
function stop(world: World): void {
  const victim = some(world, world.processes);
  if (!victim || world.clock.standing(victim.owner) !== 'alive') return;
  const { owner } = victim;
  world.trace(`worker ${owner} is stopped`);
  world.clock.setStanding(owner, 'stopped');
  world.clock.after(
    ms(world, 20_000),
    () => {
      if (world.clock.standing(owner) !== 'stopped') return;
      world.trace(`worker ${owner} goes on`);
      world.clock.setStanding(owner, 'alive');
    },
    0,
  );
}

function temporalAway(world: World): void {
  world.trace('Temporal is away');
  world.temporal.down = true;
  world.clock.after(
    ms(world, 8_000),
    () => {
      world.temporal.down = false;
    },
    0,
  );
}

function wipe(world: World): void {
  world.trace('Temporal is wiped');
  for (const execution of world.temporal.executions.values()) if (execution.status === 'RUNNING') execution.status = 'TERMINATED';
  world.temporal.executions.clear();
}

function databaseAway(world: World): void {
  world.trace('PostgreSQL is away');
  world.databaseDown = true;
  world.tables.locks.clear();
  world.clock.after(
    ms(world, 3_000),
    () => {
      world.databaseDown = false;
      world.tables.servingSince = world.clock.now();
    },
    0,
  );
}

const terminated =
  (by: string): Fault =>
  (world) => {
    const execution = some(world, world.temporal.executions.values());
    if (!execution) return;
    world.trace(`${execution.id} is terminated by ${by}`);
    terminate(world.temporal, execution, by);
  };

function cancelledInTemporal(world: World): void {
  const execution = some(
    world,
    [...world.temporal.executions.values()].filter(({ id, status }) => status === 'RUNNING' && id.startsWith('run/')),
  );
  if (!execution) return;
  world.trace(`${execution.id} is cancelled in Temporal`);
  cancelExecution(world.temporal, execution.id);
}

/** A worker forgets an execution that it has in its cache and that waits. */
function evicted(world: World): void {
  const host = some(world, world.processes);
  const idle = [...(host?.cache ?? [])].filter(([, { task }]) => task === null);
  const entry = some(world, idle);
  if (entry) host?.cache.delete(entry[0]);
}

/** A poke of somebody who did not know better. */
function poked(world: World): void {
  const execution = some(world, world.temporal.executions.values());
  if (!execution) return;
  add(world.temporal, execution, { type: 'signal', name: 'poke' });
  wake(world.temporal, execution);
}

const FAULTS: { readonly [name: string]: Fault } = {
  ...{ kill, stop, temporalAway, wipe, databaseAway, cancelledInTemporal, evicted, poked },
  ...{ operator: terminated('operator@console'), server: terminated('history-service') },
};

const ODDS: { readonly [name in keyof Odds]: number } = {
  ...{ lostAnswer: 0.02, refusal: 0.02, lock: 0.1, lostNotice: 0.5, lostCompletion: 0.1, lostCall: 0.05, slow: 0.01 },
};

export type Faults = { perhaps: () => void; over: () => boolean; count: () => number };

/** What clients ask of a run. */
type Clients = { cancel: (run: string, force: boolean) => void } & {
  [name in 'pause' | 'retry' | 'settle' | 'fork']: (run: string) => void;
};

/** A seed has some kinds of fault only, and a number of them at any instants; so that each gets its share of rare company. */
export function createFaults(world: World, client: Clients): Faults {
  const { random, clock } = world;
  const asked =
    (ask: (run: string) => void): Fault =>
    () => {
      const run = some(world, world.tables.runs.keys());
      if (run !== undefined) ask(run);
    };
  const clients = {
    cancel: asked((run) => {
      client.cancel(run, random() < 0.3);
    }),
    ...{ pause: asked(client.pause), retry: asked(client.retry), settle: asked(client.settle), fork: asked(client.fork) },
  };
  const kinds = Object.entries({ ...FAULTS, ...clients }).filter(() => random() < 0.35);
  const names = Object.keys(ODDS) as (keyof Odds)[];
  for (const name of names) if (random() < 0.25) world.odds[name] = ODDS[name] * (0.2 + random());
  let left = kinds.length === 0 ? 0 : Math.floor(random() * 7);
  const atClosing = random() < 0.25;
  const whenWaiting = cancelsWhoWaits(world, client);
  const until = 2_000 + random() * 12_000;
  const gap = (): number => clock.steps() + Math.floor(random() * random() * 500);
  let next = gap();
  let count = 0;
  world.interject = (statement) => {
    const { name, values } = statement;
    count += Number(whenWaiting(statement));
    const closing = name === 'journal_commit_v1' && (values[30] as unknown[] | undefined)?.length ? (values[1] as string[])[0] : undefined;
    if (!atClosing || closing === undefined || left <= 0 || random() > 0.5) return;
    left--;
    count++;
    cancelAtOnce(world, closing);
  };
  return {
    perhaps: () => {
      if (left <= 0 || clock.steps() < next) return;
      next = gap();
      left--;
      count++;
      some(world, kinds)?.[1](world);
    },
    over: () => clock.now() > until || (left <= 0 && clock.now() > 2_000),
    count: () => count,
  };
}

const WHILE_WAITING_MS = 400;

/**
 * In some worlds clients cancel runs that have just come to wait. Drawn apart, so that the others do not change with it.
 * @returns says of each statement whether it was the occasion
 */
function cancelsWhoWaits({ seed, clock }: World, client: Clients): (statement: Statement) => boolean {
  const random = aRandom(seed ^ 0x3a17);
  const isOne = random() < 0.6;
  return ({ name, values }) => {
    if (!isOne || name !== 'mark_waiting_v1' || random() > 0.7) return false;
    const force = random() < 0.6;
    clock.after(
      random() * random() * WHILE_WAITING_MS,
      () => {
        client.cancel(String(values[0]), force);
      },
      0,
    );
    return true;
  };
}

/** A command that arrives in the instant before the statement that would close the run. */
function cancelAtOnce(world: World, run: string): void {
  const rows = world.tables.runs.get(run);
  if (!rows) return;
  world.trace(`a cancel is quicker than the end of ${run}`);
  const { workspace } = rows.state;
  world.commandNow(run, workspace);
}

/** Everything is back and nothing goes wrong any more. */
export function calm(world: World, workers: number): void {
  world.trace('calm');
  world.isCalm = true;
  for (const name of Object.keys(world.odds) as (keyof Odds)[]) world.odds[name] = 0;
  world.temporal.down = false;
  world.databaseDown = false;
  world.interject = () => undefined;
  for (const { owner } of world.processes) if (world.clock.standing(owner) === 'stopped') world.clock.setStanding(owner, 'alive');
  while (world.processes.size < workers) world.boot();
}
