import { LRUCache } from 'lru-cache';
import { readFacts, readPlan, type RunFacts } from '../db/execution.ts';
import { compileCondition } from '../domain/expression/compileCondition.ts';
import { compileTemplate } from '../domain/expression/compileTemplate.ts';
import type { Compiled, Scope } from '../domain/expression/expression.ts';
import { isObject, type Json, type JsonObject } from '../domain/json.ts';
import { hasAttempts, type Field, type Kind } from '../domain/kinds/kind.ts';
import { KINDS } from '../domain/kinds/kinds.ts';
import { WHOLE, type Marks } from '../domain/redaction/marks.ts';
import { planMarks } from '../domain/redaction/planMarks.ts';
import { EFFECT, type Plan, type PlanTask, type TaskLimit } from '../domain/plan/plan.ts';
import { Problem } from '../domain/problem.ts';
import type { ActivityDeps } from './deps.ts';

type CompiledField = { name: string; field: Field; compiled?: Compiled; value: Json };
type CompiledCase = { condition: Compiled };

/** A task with its expressions compiled. */
export type CompiledTask = PlanTask & {
  index: number;
  contract: Kind;
  condition?: Compiled;
  fields: CompiledField[];
  cases?: CompiledCase[];
  items?: { [name: string]: Compiled };
  itemCondition?: Compiled;
  /** Ends its loop. */
  until?: Compiled;
  /** Limits of its attempts: its own and the run's. */
  limited: (Omit<TaskLimit, 'key'> & { key: Compiled })[];
  /** Tasks whose outputs its expressions compute with, beyond passing them on whole. */
  computed: number[];
  /** Of the outputs that it passes on, the places it names. */
  passed: Passed[];
  /** Names of the secrets that its fields name. */
  secrets: string[];
  /** What of its output, and whether its message, is shown to nobody. */
  marks: { output: Marks; message: boolean };
};

/** What the compilation of each task asks of its plan: made once, else a plan costs the square of its tasks. */
type Names = { index: Map<string, number>; all: ReadonlySet<string>; around: readonly string[] };

type CompiledPlan = {
  plan: Plan;
  task: (index: number) => CompiledTask;
  output: () => { compiled: Compiled; passed: Passed[]; computed: number[] } | undefined;
  index: Map<string, number>;
  /** Tasks with a dependant that whoever settles them may run at once. */
  releases: ReadonlySet<number>;
  dependants: (task: number) => readonly number[];
};

/** All that an activity has to know of a run before it looks at its tasks. */
export type RunContext = { facts: RunFacts; compiled: CompiledPlan };

function must(result: ReturnType<typeof compileTemplate>): Compiled {
  if ('compiled' in result) return result.compiled;
  throw new Problem('expression_syntax', { detail: result.issues.map((issue) => issue.message).join('; ') });
}

const isConstant = (compiled: Compiled): boolean => compiled.references.length === 0;

function compileFields(task: PlanTask, contract: Kind, scope: Scope): CompiledField[] {
  return Object.entries(contract.with).flatMap(([name, field]) => {
    const value = task.with[name] ?? field.default;
    if (value === undefined || task.kind === 'switch') return [];
    if (field.form === 'literal') return [{ name, field, value }];
    const compiled = must(
      field.form === 'condition' && typeof value === 'string'
        ? compileCondition(value, scope)
        : compileTemplate(value, { ...scope, secrets: field.secret === true }),
    );
    return [{ name, field, value, compiled }];
  });
}

function compileCases(task: PlanTask, scope: Scope): CompiledCase[] {
  const cases = Array.isArray(task.with.cases) ? task.with.cases : [];
  return cases.map((entry) => ({ condition: must(compileCondition(conditionOf(entry), scope)) }));
}

function conditionOf(entry: Json): string {
  const condition = isObject(entry) ? entry.if : undefined;
  return typeof condition === 'string' ? condition : JSON.stringify(condition ?? false);
}

function compileItems(task: PlanTask, scope: Scope): { [name: string]: Compiled } {
  const items = task.map?.items;
  if (items && typeof items === 'object' && 'matrix' in items)
    return Object.fromEntries(
      Object.entries(items.matrix as JsonObject).map(([axis, values]) => [axis, must(compileTemplate(values, scope))]),
    );
  return { '': must(compileTemplate(items ?? null, scope)) };
}

/** Where in the output of which task. */
type Passed = { task: number; path: readonly string[] };

/** The outputs that expressions name; status and error are read without them. */
function placesIn(all: readonly (Compiled | undefined)[], index: Map<string, number>): Passed[] {
  return all.flatMap((compiled) =>
    (compiled?.references ?? []).flatMap(({ task, field, path }) => {
      const position = task === undefined ? undefined : index.get(task);
      return position === undefined || field === 'status' || field === 'error' ? [] : [{ task: position, path }];
    }),
  );
}

/** Items are looked into to be told apart. */
const passesOn = (compiled: Compiled | undefined): boolean =>
  compiled?.plain === true && compiled.references.every(({ field }) => field !== 'items');

const tasksOf = (places: readonly Passed[]): number[] => [...new Set(places.map(({ task }) => task))];

const secretsIn = (fields: readonly CompiledField[]): string[] => {
  const references = fields.flatMap(({ compiled }) => compiled?.references ?? []);
  return [...new Set(references.flatMap(({ root, path: [name] }) => (root === 'secrets' && name !== undefined ? [name] : [])))];
};

/** Inline tasks have no attempts to limit. */
function compileLimits(plan: Plan, task: PlanTask, contract: Kind): CompiledTask['limited'] {
  if (!hasAttempts(contract)) return [];
  const names = ['input', ...(plan.scope?.names ?? []), ...(task.map ? [task.map.as, 'item', 'index'] : [])];
  return [...(plan.limits ?? []), ...(task.limits ?? [])].map(({ key, ...rest }) => ({
    ...rest,
    key: must(compileTemplate(key, { names })),
  }));
}

function compileTask(plan: Plan, position: number, { index, all, around }: Names): CompiledTask {
  const task = plan.tasks[position];
  const contract = task && KINDS[task.kind];
  if (!task || !contract)
    throw new Problem('engine_fault', { detail: `the plan names a kind that is not there: ${task?.kind ?? position}` });
  const scope: Scope = { names: ['input', 'tasks', 'run', ...around], tasks: all };
  const inner: Scope = task.map ? { ...scope, names: [...scope.names, task.map.as, 'item', 'index'] } : scope;
  const condition = task.if === undefined ? undefined : must(compileCondition(task.if, scope));
  const fields = compileFields(task, contract, inner);
  const cases = task.kind === 'switch' ? compileCases(task, inner) : undefined;
  const items = task.map ? compileItems(task, scope) : undefined;
  const itemCondition = task.map?.if === undefined ? undefined : must(compileCondition(task.map.if, inner));
  const until = task.loop === undefined ? undefined : must(compileCondition(task.loop.until, inner));
  const passes = ({ field, compiled }: CompiledField) => field.byReference === true && passesOn(compiled);
  const computing = [
    condition,
    itemCondition,
    until,
    ...fields.filter((f) => !passes(f)).map((f) => f.compiled),
    ...(cases ?? []).map((c) => c.condition),
    ...Object.values(items ?? {}),
  ];
  const passing = fields.filter(passes).map((f) => f.compiled);
  return {
    ...task,
    index: position,
    contract,
    limited: compileLimits(plan, task, contract),
    fields: fields.map((f) =>
      f.compiled && isConstant(f.compiled) && f.field.form === 'template' ? { ...f, value: f.compiled.evaluate({}) } : f,
    ),
    computed: tasksOf(placesIn(computing, index)),
    passed: placesIn(passing, index),
    secrets: secretsIn(fields),
    marks: planMarks(plan).tasks[position] ?? { output: WHOLE, message: true },
    ...(condition && { condition }),
    ...(cases && { cases }),
    ...(items && { items }),
    ...(itemCondition && { itemCondition }),
    ...(until && { until }),
  };
}

function compileOutput(value: Json, { index, all, around }: Names) {
  const compiled = must(compileTemplate(value, { names: ['input', 'tasks', 'run', ...around], tasks: all }));
  const places = placesIn([compiled], index);
  return passesOn(compiled) ? { compiled, passed: places, computed: [] } : { compiled, passed: [], computed: tasksOf(places) };
}

function compilePlan(plan: Plan): CompiledPlan {
  const tasks = new Map<number, CompiledTask>();
  const index = new Map(plan.graph.names.map((name, i) => [name, i]));
  const { names: around = [], tasks: outside = [] } = plan.scope ?? {};
  const names = { index, all: new Set([...index.keys(), ...outside]), around };
  let output: ReturnType<CompiledPlan['output']>;
  const releases = new Set(
    plan.graph.deps.flatMap((edges, task) => (plan.graph.classes[task] === EFFECT ? [] : edges.map(([dependency]) => dependency))),
  );
  const dependants: number[][] = plan.graph.names.map(() => []);
  plan.graph.deps.forEach((edges, task) => {
    for (const [dependency] of edges) dependants[dependency]?.push(task);
  });
  return {
    plan,
    index,
    releases,
    dependants: (task) => dependants[task] ?? [],
    task: (i) => {
      let task = tasks.get(i);
      if (!task) tasks.set(i, (task = compileTask(plan, i, names)));
      return task;
    },
    output: () => {
      if (plan.output && !output) output = compileOutput(plan.output.value, names);
      return output;
    },
  };
}

const MAX_PLANS = 100;
const MAX_RUNS = 2_000;
const MAX_INPUT_BYTES = 32 * 2 ** 20;

export type Plans = {
  /** Reads runs and plans once per process, bounded by number and, for inputs, by bytes. */
  contextOf: (run: string) => Promise<RunContext>;
  /** The same for a run whose facts are known already. */
  contextWith: (facts: RunFacts) => Promise<RunContext>;
};

export function createPlans(deps: Pick<ActivityDeps, 'db'>): Plans {
  const plans = new LRUCache<string, Promise<CompiledPlan>>({ max: MAX_PLANS });
  const runs = new LRUCache<string, RunContext>({ max: MAX_RUNS, maxSize: MAX_INPUT_BYTES });
  const planOf = (hash: string): Promise<CompiledPlan> => {
    let plan = plans.get(hash);
    if (!plan) {
      plan = readPlan(deps.db, hash).then((body) => {
        if (!body) throw new Problem('engine_fault', { detail: 'the plan of the run is not there' });
        return compilePlan(body);
      });
      plan.catch(() => plans.delete(hash));
      plans.set(hash, plan);
    }
    return plan;
  };
  const contextWith = async (facts: RunFacts) => {
    const context = { facts, compiled: await planOf(facts.planHash) };
    runs.set(facts.run, context, { size: facts.inputSize + 1 });
    return context;
  };
  return {
    contextWith,
    contextOf: async (run) => {
      const known = runs.get(run);
      if (known) return known;
      const facts = await readFacts(deps.db, run);
      if (!facts) throw new Problem('not_found', { detail: 'no such run' });
      return contextWith(facts);
    },
  };
}
