import { createHash } from 'node:crypto';
import { readDefinitionValue } from '../domain/definition/read.schema.ts';
import { LIMITS } from '../domain/definition/limits.ts';
import { canonicalJson } from '../domain/definition/canonical.ts';
import type { Json } from '../domain/json.ts';
import { compile } from '../domain/plan/compile.ts';
import type { Plan, PlanTask } from '../domain/plan/plan.ts';
import { toleranceOf } from '../domain/plan/tolerance.ts';
import { Problem, type Failure } from '../domain/problem.ts';
import { prepareRun, type RunDefaults } from '../domain/run/prepareRun.schema.ts';
import type { Commands } from './commands.ts';
import type { Database } from './database.ts';
import { notifyRuns } from './notifyRuns.ts';
import { heldArtifacts } from './repositories/artifacts.ts';
import { findDefinition } from './repositories/definitions.ts';
import type { Plans } from './repositories/plans.ts';
import type { Submits } from './submit.ts';

const AT_ONCE = 50;
/** Runs, each with all of its items that have ended. */
const SETTLED_AT_ONCE = 20;

type Rows = Pick<Database, 'rows'>;
export type Children = {
  /** Starts the runs that tasks and items wait for, and tells those under way what became of their parents. @returns whether there may be more */
  look: () => Promise<boolean>;
  /** Settles the items whose runs have ended, and the maps of which all have. @returns whether it has */
  settle: () => Promise<boolean>;
};
type ChildrenDeps = {
  db: Rows;
  plans: Plans;
  readObject: (workspace: string, sha256: string) => Promise<Buffer>;
  submitRun: Submits['submitRun'];
  command: Commands['command'];
  defaults: RunDefaults;
};

type Claimed = {
  run: string;
  task: number;
  /** -1: the task itself. */
  item: number;
  generation: number;
  workspace: string;
  child: string;
  /** Of the parent's plan, hex. */
  plan: string;
  data: { name?: string; version?: string | number; deadlineMs?: number };
  input: Json;
  /** sha256 of an input that is too large for a row. */
  inputRef: string | null;
  depth: number;
  held: string[] | null;
  due: number | null;
  priority: number;
  /** Of the parent, and so of the child. */
  project: string | null;
};

export function createChildren(deps: ChildrenDeps): Children {
  return {
    settle: () => settleItems(deps),
    look: async () => {
      const claimed = await deps.db.rows<Claimed>({
        name: 'claim_children',
        text: `select c.run, c.task, c.item, c.generation, c.workspace, c.child, c.plan, c.data, c.input, c.input_ref as "inputRef", c.depth::int, c.held, c.due,
          c.priority::int, r.project from claim_children_v2($1) c join run r on r.id = c.run`,
        values: [AT_ONCE],
      });
      const started = await Promise.all(claimed.map((one) => startChild(deps, one)));
      return (await tellChildren(deps)) === AT_ONCE || claimed.length === AT_ONCE || started.includes(false);
    },
  };
}

/** A fault of the definition or of its input is the task's (false); any other leaves it to the next look. */
async function startChild(deps: ChildrenDeps, claimed: Claimed): Promise<boolean> {
  try {
    await deps.submitRun(await runOf(deps, claimed));
    return true;
  } catch (error) {
    if (error instanceof Problem && error.status < 500) {
      await fail(deps.db, claimed, error.toFailure());
      return false;
    }
    await deps.db.rows({
      name: 'forget_child',
      text: `update wait set dispatched = false where run = $1 and task = $2 and item = $3 and generation = $4 and kind = 'child'`,
      values: [claimed.run, claimed.task, claimed.item, claimed.generation],
    });
    throw error;
  }
}

async function fail(db: Rows, { run, task, item, generation }: Claimed, failure: Failure): Promise<void> {
  await db.rows({
    name: 'decide_child',
    text: 'select decide_child_v2($1, $2, $3, $4, $5)',
    values: [run, task, item, generation, JSON.stringify(failure)],
  });
}

/** An ordinary run, under a key of the task or item that waits for it, so that a repetition is the same run. */
async function runOf(deps: ChildrenDeps, claimed: Claimed) {
  const { run, task, item, generation, workspace, data, depth, held, due } = claimed;
  if (depth >= LIMITS.children)
    throw new Problem('child_too_deep', { detail: `at most ${LIMITS.children} runs may be inside another one` });
  const { plan, text, hash, name, number } = await planOf(deps, claimed);
  const { inputRef } = claimed;
  const input = inputRef === null ? claimed.input : (JSON.parse((await deps.readObject(workspace, inputRef)).toString()) as Json);
  const prepared = prepareRun(plan, { input: input ?? undefined }, deps.defaults);
  const { concurrency, ...rest } = prepared.run;
  const bounds = [rest.deadlineMs, data.deadlineMs, due]
    .filter((ms): ms is number => typeof ms === 'number')
    .map((ms) => Math.max(1, Math.ceil(ms)));
  const by = `run:${run}`;
  const key = item < 0 ? `${task}/${generation}` : `${task}/${item}/${generation}`;
  return {
    ...rest,
    // What an ancestor holds it would wait for until that ancestor ends, which waits for it.
    ...(concurrency && !held?.includes(concurrency.key) && { concurrency }),
    ...(bounds.length > 0 && { deadlineMs: Math.min(...bounds) }),
    priority: claimed.priority,
    ...(claimed.project !== null && { project: claimed.project }),
    ...{ workspace, runId: claimed.child, principal: by, createdBy: by, key, definition: name },
    ...(number !== undefined && { definitionNumber: number }),
    requestHash: createHash('sha256').update(`${by}/${key}`).digest(),
    plan: { hash, body: text },
    data: JSON.stringify({ parent: { run, task: data.name ?? name, ...(item >= 0 && { item }) } }),
    artifacts: await heldArtifacts(deps.db, workspace, prepared.artifacts),
  };
}

type Resolved = { plan: Plan; text: string; hash: Buffer; name: string; number?: number };

/** What stands in plans, once made: a map asks for it with every item. */
const written = new WeakMap<object, Resolved>();

/** @throws Problem invalid_definition */
function writtenIn(task: PlanTask): Resolved | undefined {
  const known = written.get(task);
  if (known !== undefined) return known;
  const plan = task.each ?? (task.with.definition === undefined ? undefined : compiled(task.with.definition));
  if (plan === undefined) return undefined;
  const text = canonicalJson(plan);
  const made = { plan, text, hash: createHash('sha256').update(text).digest(), name: plan.name };
  written.set(task, made);
  return made;
}

function compiled(definition: Json): Plan {
  const read = readDefinitionValue(definition);
  if (!('definition' in read)) throw new Problem('invalid_definition', { issues: read.issues });
  return compile(read.definition);
}

/** @throws Problem not_found | invalid_definition */
async function planOf({ db, plans }: ChildrenDeps, { workspace, data, plan: parent, task }: Claimed): Promise<Resolved> {
  const planned = (await plans.get(parent)).plan.tasks[task];
  const inner = planned && writtenIn(planned);
  if (inner !== undefined) return inner;
  const { name = '', version } = data;
  const stored = await findDefinition(db, { workspace, name, version });
  if (!stored) throw new Problem('not_found', { detail: `No workflow ${name}${version === undefined ? '' : ` of version ${version}`}` });
  const { plan, text } = await plans.get(stored.plan);
  return { plan, text, hash: Buffer.from(stored.plan, 'hex'), name: stored.name, number: stored.number };
}

type SettledMap = { run: string; task: number; generation: number; plan: string };

async function settleItems({ db, plans }: ChildrenDeps): Promise<boolean> {
  const settled = await db.rows<{ run: string }>({
    name: 'settle_items',
    text: 'select settle_items_v1($1) as run',
    values: [SETTLED_AT_ONCE],
  });
  await notifyRuns(
    db,
    settled.map(({ run }) => run),
  );
  const maps = await db.rows<SettledMap>({
    name: 'settled_maps',
    text: 'select run, task, generation, plan from settled_maps_v1($1)',
    values: [SETTLED_AT_ONCE],
  });
  if (maps.length > 0) await decideMaps({ db, plans }, maps);
  return settled.length + maps.length > 0;
}

async function decideMaps({ db, plans }: Pick<ChildrenDeps, 'db' | 'plans'>, maps: readonly SettledMap[]): Promise<void> {
  const rules = await Promise.all(maps.map(async ({ plan, task }) => toleranceOf((await plans.get(plan)).plan.tasks[task])));
  const keys = [maps.map(({ run }) => run), maps.map(({ task }) => task), maps.map(({ generation }) => generation)];
  await db.rows({
    name: 'decide_items',
    text: 'select decide_items_v2($1, $2, $3, $4, $5)',
    values: [...keys, rules.map(({ count }) => count), rules.map(({ percent }) => percent)],
  });
}

type Untold = { parent: string; child: string; workspace: string; what: 'force' | 'cancel' | 'pause' | 'resume' };

async function tellChildren({ db, command }: ChildrenDeps): Promise<number> {
  const untold = await db.rows<Untold>({
    name: 'untold_children',
    text: 'select parent, child, workspace, what from untold_children_v1($1)',
    values: [AT_ONCE],
  });
  await Promise.all(
    untold.map(async ({ parent, child: run, workspace, what }) => {
      const of = {
        run,
        workspace,
        by: `run:${parent}`,
        reason: `its parent ${what === 'pause' ? 'is paused' : what === 'resume' ? 'goes on' : 'ends'}`,
      };
      try {
        await command(what === 'pause' || what === 'resume' ? { ...of, type: what } : { ...of, type: 'cancel', force: what === 'force' });
      } catch (error) {
        if (!(error instanceof Problem) || error.status >= 500) throw error; // it has ended, or somebody was quicker
      }
    }),
  );
  return untold.length;
}
