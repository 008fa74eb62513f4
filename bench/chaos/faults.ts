import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from '../processes.ts';
import { fillUp } from './disk.ts';
import type { Fault } from './faultPlan.ts';
import type { Field, WorkerPlace } from './field.ts';
import type { Load } from './load.ts';
import { sampleOf } from './samples.ts';
import { submitUntilAccepted } from './submits.ts';

export type Battle = {
  field: Field;
  load: Load;
  seed: number;
  /** Something that must not be. */
  breach: (what: string) => void;
};

/** What became of a fault. `back`: when the last part was there again, ms since the epoch; null if nothing was away. */
export type Struck = { back: number | null; skipped?: string };

/** Does what the fault says and puts everything back in its place. */
export function strike(battle: Battle, fault: Fault): Promise<Struck> {
  switch (fault.kind) {
    case 'worker-kill':
      return killWorkers(battle, fault);
    case 'worker-stop':
      return stopWorker(battle, fault);
    case 'worker-drain':
      return drainWorker(battle, fault);
    case 'api-kill':
      return killApis(battle, fault);
    case 'postgres-kill':
      return killServer(battle.field.cluster.postgres, fault);
    case 'temporal-kill':
      return killServer(battle.field.cluster.temporal, fault);
    case 'temporal-wipe':
      return back(battle.field.cluster.temporal.wipe());
    case 'operator':
      return operate(battle, fault);
    case 'sessions-cut':
      return cutSessions(battle, fault);
    case 'duplicates':
      return submitTwice(battle, fault);
    case 'network-cut':
      return cutNetwork(battle, fault);
    case 'rows-locked':
      return lockRows(battle, fault);
    case 'postgres-stall':
      return stall(battle, fault);
    case 'all':
      return killAll(battle, fault);
    case 'disk':
      return fillUp(battle);
  }
}

async function back(work: Promise<unknown>): Promise<Struck> {
  await work;
  return { back: Date.now() };
}

/** `size` of them, beginning at one that the seed chose. */
const chosen = (workers: readonly WorkerPlace[], { size, way }: Fault): WorkerPlace[] =>
  Array.from({ length: size }, (_, i) => workers[(way + i) % workers.length]).filter((place) => place !== undefined);

async function killWorkers({ field }: Battle, fault: Fault): Promise<Struck> {
  const victims = chosen(field.workers, fault);
  await Promise.all(victims.map((victim) => victim.kill()));
  await sleep(fault.ms / 2);
  return back(Promise.all(victims.map((victim) => victim.fill())));
}

async function stopWorker({ field }: Battle, fault: Fault): Promise<Struck> {
  const pid = chosen(field.workers, { ...fault, size: 1 })[0]?.pid();
  if (pid === undefined) return { back: null };
  const from = Date.now();
  process.kill(pid, 'SIGSTOP');
  await sleep(1_000 + fault.ms * 7);
  process.kill(pid, 'SIGCONT');
  field.mayBeLate(from);
  return { back: Date.now() };
}

async function drainWorker({ field }: Battle, fault: Fault): Promise<Struck> {
  const [place] = chosen(field.workers, { ...fault, size: 1 });
  await place?.drain();
  return back(place?.fill() ?? Promise.resolve());
}

/** In the moment in which it has said 202. */
async function killApis(battle: Battle, fault: Fault): Promise<Struck> {
  const { field, load } = battle;
  const first = fault.way % field.apis.length;
  const victims = fault.kills === 1 ? field.apis.slice(first, first + 1) : field.apis;
  await Promise.all(
    victims.map(async (victim) => {
      const sample = sampleOf(field.cluster, -battle.seed, fault.n);
      const run = await submitUntilAccepted(field, sample, { api: field.apis.indexOf(victim) });
      await victim.kill();
      load.add(run, sample);
    }),
  );
  await sleep(fault.ms / 2);
  return back(Promise.all(victims.map((victim) => victim.fill())));
}

async function killServer(server: { kill: () => Promise<void>; start: () => Promise<void> }, fault: Fault): Promise<Struck> {
  await server.kill();
  await sleep(fault.ms * 2);
  return back(server.start());
}

/** A handful of executions at once, each in a way of its own. */
async function operate({ field, load }: Battle, fault: Fault): Promise<Struck> {
  const runs = load.open();
  const victims = Array.from({ length: fault.size * 2 }, (_, i) => runs[(fault.way + i * 3) % runs.length]).filter(
    (run) => run !== undefined,
  );
  await Promise.all(
    [...new Set(victims)].map(async (run, i) => {
      const workflowId = `run/${run.id}`;
      const way = (fault.way + i) % 3;
      const handle = field.temporal().workflow.getHandle(workflowId);
      if (way < 2) run.cancellable = true;
      // whoever has ended meanwhile, or has no execution, cannot be attacked
      if (way === 0) await handle.terminate('chaos').catch(() => undefined);
      else if (way === 1) await handle.cancel().catch(() => undefined);
      else
        await field.cluster
          .cli(...['workflow', 'reset', '--workflow-id', workflowId, '--type', 'FirstWorkflowTask', '--reason', 'chaos'])
          .catch(() => undefined);
    }),
  );
  return { back: null };
}

async function cutSessions({ field }: Battle, fault: Fault): Promise<Struck> {
  await field.cluster.rows(
    `select pg_terminate_backend(pid) from (select pid from pg_stat_activity
     where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid() order by random() limit $1) x`,
    [fault.size === 3 ? 1_000 : fault.size * 3],
  );
  return { back: Date.now() };
}

const DUPLICATES = 8;

async function submitTwice(battle: Battle, fault: Fault): Promise<Struck> {
  const { field, load, breach } = battle;
  const sample = sampleOf(field.cluster, -battle.seed, fault.n);
  const key = randomUUID();
  const runs = await Promise.all(Array.from({ length: DUPLICATES }, (_, api) => submitUntilAccepted(field, sample, { api, key })));
  const [first] = runs;
  if (!first) return { back: null };
  load.add(first, sample);
  if (runs.some(({ id }) => id !== first.id)) breach(`one key made ${new Set(runs.map(({ id }) => id)).size} runs`);
  return { back: null };
}

async function cutNetwork({ field }: Battle, fault: Fault): Promise<Struck> {
  const wires = chosen(field.workers, fault).map(({ wire }) => wire);
  const from = Date.now();
  for (const wire of wires) wire.cut(fault.way % 2 === 0 ? 'closed' : 'silent');
  await sleep(500 + fault.ms * 6);
  for (const wire of wires) wire.mend();
  // its tasks were given to others while it worked on
  field.mayBeLate(from);
  return { back: Date.now() };
}

async function lockRows({ field, load }: Battle, fault: Fault): Promise<Struck> {
  const runs = load.open().slice(0, fault.size * 4);
  const locker = await field.cluster.connect();
  try {
    await locker.query('begin');
    await locker.query('select from run_state where run = any($1) for update', [runs.map(({ id }) => id)]);
    await sleep(500 + fault.ms * 3);
    await locker.query('rollback');
  } finally {
    await locker.end();
  }
  return { back: Date.now() };
}

/** Every process of the server, so that nothing moves: a disk that does not answer looks like this. */
async function stall({ field }: Battle, fault: Fault): Promise<Struck> {
  const from = Date.now();
  const all = processTree(field.cluster.postgres.pid);
  const tell = (signal: NodeJS.Signals) => {
    for (const pid of all)
      try {
        process.kill(pid, signal);
      } catch {
        // a session that has ended
      }
  };
  tell('SIGSTOP');
  await sleep(500 + fault.ms * 4);
  tell('SIGCONT');
  field.mayBeLate(from);
  return { back: Date.now() };
}

async function killAll({ field }: Battle, fault: Fault): Promise<Struck> {
  const { postgres, temporal } = field.cluster;
  const victims = [...field.workers, ...field.apis.slice(0, 1), postgres, temporal];
  await Promise.all(victims.map((victim) => victim.kill()));
  await sleep(fault.ms);
  await Promise.all([postgres.start(), temporal.start()]);
  return back(Promise.all([...field.workers, ...field.apis].map((place) => place.fill())));
}
