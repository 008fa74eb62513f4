import { createClock, type Clock } from './clock.ts';
import { execute } from './database/server.ts';
import { openSession } from './database/workers.ts';
import { createTables, type Tables } from './database/tables.ts';
import { aRandom } from '../support/aGraph.ts';
import type { Statement } from '../../src/db/database.ts';
import { mapSlice } from '../../src/workflows/mapSlice.ts';
import { taskGraph } from '../../src/workflows/taskGraph.ts';
import { createOutside, type Outside } from './outside.ts';
import { createProcess, type Process } from './process.ts';
import { restart } from './substitutes/chance.ts';
import { Refusal, useDatabase } from './substitutes/connection.ts';
import { useClock } from './substitutes/time.ts';
import type { Server } from './temporal/execution.ts';
import { createExecutions } from './temporal/server.ts';
import { createWatch, Violation, type Watch } from './watch.ts';

/** How likely something goes wrong, each in [0, 1]; 0 in worlds that leave it out. */
export type Odds = {
  lostAnswer: number;
  refusal: number;
  lock: number;
  lostNotice: number;
  lostCompletion: number;
  lostCall: number;
  slow: number;
};

export type World = {
  seed: number;
  random: () => number;
  clock: Clock;
  tables: Tables;
  temporal: Server;
  outside: Outside;
  processes: Set<Process>;
  odds: Odds;
  databaseDown: boolean;
  /** Nothing goes wrong any more, and nobody asks for anything. */
  isCalm: boolean;
  watch: Watch;
  trace: (what: string) => void;
  isTraced: boolean;
  takesOver: boolean;
  /** Called before a statement is carried out: a client may be quicker. */
  interject: (statement: Statement) => void;
  boot: () => void;
  /** A command of another process, carried out at this very instant. */
  commandNow: (run: string, workspace: string) => void;
  latency: () => number;
  made: number;
  corrections: { [reason: string]: number };
  /** Runs that a cancel ended where they stood. */
  endedAtOnce: number;
};

const OUTSIDE = 0;
const AWAY_MS = 120;
const SESSION_MS = 300;

/** Seeds a world: the same seed gives the same one, step by step. */
export function createWorld(seed: number, trace: ((line: string) => void) | undefined): World {
  const random = aRandom(seed * 7_919 + 1);
  const clock = createClock();
  restart();
  useClock(clock);
  const tables = createTables(clock.now);
  const say = (what: string): void => {
    trace?.(`${clock.now().toFixed(2).padStart(9)} [${clock.owner()}] ${what}`);
  };
  const pace = 0.1 + random() * 2;
  const odds: Odds = { lostAnswer: 0, refusal: 0, lock: 0, lostNotice: 0, lostCompletion: 0, lostCall: 0, slow: 0 };
  const latency = (): number => {
    const x = random();
    if (x < odds.slow) return 200 + random() * 2_500;
    return pace * (x < 0.95 ? 0.1 + random() : random() * 20);
  };
  const temporal: Server = {
    ...{ clock, random, latency, trace: say, executions: new Map(), hosts: new Set(), down: false, made: 0, tokens: 0 },
    weight: random() < 0.2 ? 40 + random() * 200 : 1,
    workflows: { default: taskGraph, 'tiu.mapSlice': mapSlice },
    loss: () => random() < odds.lostCompletion,
    onClosed: (execution, end) => {
      checkEnd(world, execution.args, end.how === 'FAILED' ? `FAILED ${end.code}` : end.how);
    },
  };
  const world: World = {
    ...{ seed, random, clock, tables, temporal, odds, latency, processes: new Set(), databaseDown: false, isCalm: false, made: OUTSIDE },
    ...{
      outside: createOutside({ random, clock }),
      watch: createWatch(tables),
      trace: say,
      interject: () => undefined,
      corrections: {},
      endedAtOnce: 0,
      isTraced: trace !== undefined,
      takesOver: random() < 0.35,
    },
    boot: () => {
      boot(world);
    },
    commandNow: (run, workspace) => {
      const values = [run, workspace, '{}', '{"by":"key:1"}', null, 'key:1', '', false];
      carryOut(world, { name: 'cancel_v1', text: '', values }, OUTSIDE);
    },
  };
  useDatabase(() => connect(world));
  return world;
}

/** The way from the process whose code runs to the database. */
function connect(world: World): (statement: Statement, isPatient: boolean) => Promise<object[]> {
  const { clock, latency } = world;
  const owner = clock.owner();
  return (statement, isPatient) =>
    new Promise((resolve, reject) => {
      const fail = (code: string): void =>
        void clock.after(
          latency(),
          () => {
            reject(new Refusal(code));
          },
          owner,
        );
      const arrive = (): void => {
        if (world.databaseDown && isPatient) return void clock.after(AWAY_MS, arrive, OUTSIDE);
        if (world.databaseDown) {
          fail('57P01');
          return;
        }
        const refusal = refusalOf(world);
        if (refusal !== undefined) {
          fail(refusal);
          return;
        }
        let rows: object[];
        try {
          rows = carryOut(world, statement, owner);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          fail(error.code);
          return;
        }
        if (world.random() < world.odds.lostAnswer) {
          fail('08006');
          return;
        }
        clock.after(
          latency(),
          () => {
            resolve(rows);
          },
          owner,
        );
      };
      clock.after(latency(), arrive, OUTSIDE);
    });
}

function refusalOf({ random, odds }: World): string | undefined {
  const x = random();
  if (x < odds.refusal) return '55P03';
  return x < odds.refusal + odds.lostAnswer / 2 ? '57P01' : undefined;
}

function carryOut(world: World, statement: Statement, owner: number): object[] {
  const { name, values } = statement;
  if (name === 'notify') {
    (values[0] as string[]).forEach((channel, i) => {
      spread(world, channel, (values[1] as string[])[i] ?? '');
    });
    return [];
  }
  if (name === 'notify_run') spread(world, 'run', String(values[0]));
  world.interject(statement);
  const rows = execute(world.tables, statement, () => world.random() < world.odds.lock);
  if (name === 'cancel_v1') world.endedAtOnce += Number((rows[0] as { ended: boolean }).ended);
  if (world.isTraced && isTelling(name, rows)) world.trace(`${owner} ${name} ${brief(values)} → ${brief(rows)}`);
  world.watch.after(statement, rows);
  return rows;
}

const QUIET = new Set([
  'hold_duty',
  'make_partitions',
  'sweep_workers',
  'claim_cancels',
  'gone_workers',
  'report_worker',
  'claim_overdue',
  'claim_slices',
  'sweep_leases',
  'sweep_limits',
  'end_queued',
  'open_slices',
  'open_externals',
  'plan_body',
  'run_facts',
  'close_waits_of_closed',
  'admit',
  'claim_ending',
  'open_runs',
  'carried_elsewhere',
  'left_events',
  'expire_events',
  'halts_of',
  'claim_untold',
  'claim_unshown',
]);
const BORING = /duty|plan|facts|sweep_leases|sweep_workers|partitions/;
const isTelling = (name: string, rows: object[]): boolean => (rows.length > 0 ? !BORING.test(name) : !QUIET.has(name));
const brief = (value: unknown): string => JSON.stringify(value).slice(0, 2000);

function spread(world: World, channel: string, payload: string): void {
  for (const process of world.processes)
    if (world.random() >= world.odds.lostNotice)
      world.clock.after(
        world.latency(),
        () => {
          process.notice(channel, payload);
        },
        process.owner,
      );
}

/** A new worker process. */
function boot(world: World): void {
  const { clock, temporal, tables } = world;
  const owner = ++world.made;
  world.trace(`worker ${owner} starts`);
  clock.as(owner, () => {
    const send = connect(world);
    let process: Process | undefined = undefined;
    process = createProcess({
      owner,
      send: (statement) => send(statement, false),
      executions: createExecutions(temporal, { owner, identity: `tiu-${owner}`, lost: () => world.random() < world.odds.lostCall }),
      executors: world.outside.executors,
      maxEffects: world.random() < 0.3 ? 1 : 50,
      takesOver: world.takesOver,
      held: () => process !== undefined && tables.locks.has(process.worker),
      random: world.random,
      trace: world.trace,
      corrected: (reason) => {
        world.corrections[reason] = (world.corrections[reason] ?? 0) + 1;
      },
    });
    world.processes.add(process);
    temporal.hosts.add(process);
    keepSession(world, process);
  });
}

/** Opens the session of a process, and again whenever it is lost. */
function keepSession(world: World, process: Process): void {
  const { clock, tables } = world;
  const look = (): void => {
    if (!world.databaseDown && !tables.locks.has(process.worker)) openSession(tables, process.worker);
    clock.after(world.random() * SESSION_MS, look, process.owner);
  };
  clock.after(world.latency(), look, process.owner);
}

/** How an execution ends whose run has ended so; nothing for what is no end. */
const WORDS: Record<string, string> = { completed: 'COMPLETED', cancelled: 'CANCELLED', failed: 'FAILED', timed_out: 'FAILED' };
const wordOf = (status: string): string => WORDS[status] ?? 'none';

/** An execution that has ended says what the rows say. */
function checkEnd(world: World, args: unknown, how: string): void {
  const { runId, task } = args as { runId: string; task?: number };
  if (how === 'CONTINUED' || task !== undefined) return;
  const state = world.tables.runs.get(runId)?.state;
  const status = state?.finished === null ? 'open' : (state?.status ?? 'unknown');
  const events = world.tables.runs.get(runId)?.events.map(({ type }) => type) ?? [];
  const before = events.slice(0, events.lastIndexOf('run.reopened') + 1);
  const isOfBefore = status === 'open' || before.some((type) => how.startsWith(wordOf(type.replace('run.', ''))));
  if (before.length > 0 && isOfBefore) return; // it told the end before it was opened again
  if (status === 'open' || !how.startsWith(wordOf(status)))
    throw new Violation(`the execution of run ${runId} ended ${how} and the run is ${status}`);
}
