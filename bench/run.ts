import fs from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { connect } from './connection.ts';
import { controlScenarios } from './control.ts';
import { chain, definitionOf, fan, layered, single } from './definitions.ts';
import { eventScenarios } from './events.ts';
import { idleAfter, idleScenario, killScenario } from './faults.ts';
import { loneScenario } from './lone.ts';
import { machine, watchMachine } from './processes.ts';
import { overloadScenarios } from './overload.ts';
import { openReceiver } from './receiver.ts';
import { markdown, type Report, type Result } from './report.ts';
import { runScenarios } from './runs.ts';
import { scaleScenarios } from './scale.ts';
import { complete, pool, type Context, type Row, type Scenario } from './scenario.ts';
import { round, spread } from './spread.ts';
import { openStack } from './stack.ts';
import { countStatements, type StatementUse } from './statements.ts';

const SCENARIOS = [
  idleScenario,
  ...runScenarios,
  ...eventScenarios,
  ...controlScenarios,
  killScenario,
  ...overloadScenarios,
  ...scaleScenarios,
  idleAfter,
  loneScenario, // leaves a queue behind
];
const USAGE = `usage: npm run bench -- [--only A,B] [--reps N] [--quick] [--out FILE] [--keep] [--profile] [--statements]
  --only     ${SCENARIOS.map(({ name, asked }) => (asked ? `(${name})` : name)).join(' ')}; those in brackets only when asked for
  --reps     goes of each, 1 to 50
  --quick    smaller and once: to see that it works
  --out      also writes the JSON there
  --keep     keeps the stack's folder
  --profile  writes CPU profiles of api and worker to .tiu/profiles
  --statements  also counts SQL statements
Starts a stack of its own in a temporary folder, unless TIU_URL and TIU_TOKEN name one that runs on this machine.`;

/** Of one scenario and of all of them, ms. */
const SCENARIO_MS = 150_000;
const ALL_MS = 25 * 60_000;

type Options = {
  only: string[] | undefined;
  reps: number | undefined;
  quick: boolean;
  out: string | undefined;
  keep: boolean;
  profile: boolean;
  statements: boolean;
};

const options = readOptions(process.argv.slice(2));
if (options) await main(options);
else {
  process.stderr.write(`${USAGE}\n`);
  process.exitCode = 2;
}

function readOptions(args: string[]): Options | undefined {
  try {
    const flag = { type: 'boolean', default: false } as const;
    const text = { type: 'string' } as const;
    const { values } = parseArgs({
      args,
      options: { only: text, reps: text, out: text, quick: flag, keep: flag, profile: flag, statements: flag },
    });
    const reps = values.reps === undefined ? undefined : Number(values.reps);
    const only = values.only?.split(',');
    if (reps !== undefined && !(Number.isInteger(reps) && reps >= 1 && reps <= 50)) return undefined;
    if (only?.some((name) => !SCENARIOS.some((scenario) => scenario.name === name))) return undefined;
    return { ...values, only, reps, out: values.out };
  } catch {
    return undefined;
  }
}

async function main(chosen: Options): Promise<void> {
  const profile = ['--cpu-prof', '--cpu-prof-interval=500', `--cpu-prof-dir=${process.cwd()}/.tiu/profiles`];
  const from = performance.now();
  const stack = await openStack({
    keep: chosen.keep,
    statements: chosen.statements,
    ...(chosen.profile && { flags: { api: profile, worker: profile } }),
  });
  const startMs = Math.round(performance.now() - from);
  const stop = async (code: number) => {
    await stack.stop();
    process.exit(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(130));
  const limit = setTimeout(() => void stop(3), ALL_MS);
  const receiver = await openReceiver();
  const connection = connect(stack);
  const context: Context = { stack, connection, receiver, quick: chosen.quick };
  const results: Result[] = [];
  try {
    for (const scenario of SCENARIOS.filter(({ name, asked }) => chosen.only?.includes(name) ?? !asked)) {
      if (results.length === (results[0]?.name === 'idle' ? 1 : 0)) await warmUp(context);
      results.push(await measure(context, scenario, chosen));
    }
  } finally {
    clearTimeout(limit);
    connection.close();
    receiver.close();
    await stack.stop();
  }
  const report: Report = {
    at: new Date().toISOString(),
    machine: machine(),
    versions: stack.versions,
    startMs,
    quick: chosen.quick,
    results,
  };
  const json = JSON.stringify(report, null, 1);
  if (chosen.out !== undefined) fs.writeFileSync(chosen.out, `${json}\n`);
  process.stdout.write(`${json}\n\n${markdown(report)}`);
  process.exitCode = results.some(({ error }) => error !== undefined) ? 1 : 0;
}

/** Compiled code, plans of statements and connections are there before anything is timed. */
async function warmUp({ connection, quick }: Context): Promise<void> {
  await complete(connection, definitionOf(single()));
  await pool(quick ? 10 : 60, 4, async () => {
    await complete(connection, definitionOf(single()));
  });
  for (const shape of [layered(100), fan(50), chain(30)]) await complete(connection, definitionOf(shape));
}

async function measure(context: Context, scenario: Scenario, chosen: Options): Promise<Result> {
  const { name, title } = scenario;
  const load = round(os.loadavg()[0] ?? 0);
  if (scenario.own && !context.stack.own) return { name, title, load, figures: {}, skipped: 'needs a stack of its own' };
  const reps = chosen.reps ?? (chosen.quick ? 1 : scenario.reps);
  const rows: Row[] = [];
  const until = performance.now() + SCENARIO_MS;
  process.stderr.write(`${name} `);
  const counted = chosen.statements && context.stack.own ? await countStatements(context.stack.own.database) : undefined;
  const watch = watchMachine(context.stack.roles());
  const from = performance.now();
  let error: string | undefined;
  try {
    while (rows.length < reps && (rows.length === 0 || performance.now() < until)) rows.push(await scenario.measure(context));
  } catch (cause) {
    error = cause instanceof Error ? cause.message : String(cause);
  }
  const { cpu, clientSeconds, foreignShare } = watch();
  const statements = await counted?.();
  process.stderr.write(`${((performance.now() - from) / 1000).toFixed(1)} s${error === undefined ? '' : `: ${error}`}\n`);
  return {
    ...{ name, title, load, foreignShare: round(foreignShare), clientSeconds: round(clientSeconds) },
    figures: figuresOf(rows),
    ...(statements && { statements: perRun(rows, statements) }),
    ...perUnit(rows, name === 'kill' ? {} : cpu),
    ...(error !== undefined && { error }),
  };
}

function figuresOf(rows: readonly Row[]): Result['figures'] {
  const names = new Set(rows.flatMap((row) => Object.keys(row.figures)));
  return Object.fromEntries([...names].map((name) => [name, spread(rows.flatMap((row) => row.figures[name] ?? []))]));
}

/** Calls and time of each statement, divided by the runs. */
function perRun(rows: readonly Row[], statements: readonly StatementUse[]): StatementUse[] {
  const runs = rows.reduce((sum, row) => sum + (row.runs ?? 0), 0) || 1;
  return statements.map(({ text, calls, ms }) => ({ text: text.slice(0, 100), calls: round(calls / runs), ms: round(ms / runs) }));
}

/** CPU of each process divided by what it was spent on, ms. */
function perUnit(rows: readonly Row[], cpu: Record<string, number>): Pick<Result, 'cpuMsPerRun' | 'cpuMsPerTask'> {
  const total = (unit: 'runs' | 'tasks') => rows.reduce((sum, row) => sum + (row[unit] ?? 0), 0);
  const divided = (by: number) => Object.fromEntries(Object.entries(cpu).map(([role, seconds]) => [role, round((seconds * 1000) / by)]));
  return {
    ...(total('runs') > 0 && Object.keys(cpu).length > 0 && { cpuMsPerRun: divided(total('runs')) }),
    ...(total('tasks') > 0 && Object.keys(cpu).length > 0 && { cpuMsPerTask: divided(total('tasks')) }),
  };
}
