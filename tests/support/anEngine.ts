import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { ActivityDeps } from '../../src/activities/deps.ts';
import { createEngine } from '../../src/activities/index.ts';
import type { Executors } from '../../src/activities/kinds/executor.ts';
import { createCommands } from '../../src/db/commands.ts';
import type { Database } from '../../src/db/database.ts';
import { createJournal } from '../../src/db/journal.ts';
import { createSubmits } from '../../src/db/submit.ts';
import { canonicalJson } from '../../src/domain/definition/canonical.ts';
import { readDefinitionValue } from '../../src/domain/definition/read.schema.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { compile } from '../../src/domain/plan/compile.ts';
import { countedTasks } from '../../src/domain/plan/phases.ts';
import type { Plan } from '../../src/domain/plan/plan.ts';
import { Problem } from '../../src/domain/problem.ts';
import { aDatabase } from './aDatabase.ts';

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** @throws Problem invalid_definition with every issue */
export function aPlan(definition: Json): Plan {
  const read = readDefinitionValue(definition);
  if (!('definition' in read)) throw new Problem('invalid_definition', { detail: JSON.stringify(read.issues), issues: read.issues });
  return compile(read.definition);
}

export type Engine = Awaited<ReturnType<typeof anEngine>>;

const nothing = () => Promise.resolve();

function inMemoryObjects() {
  const objects = new Map<string, Buffer>();
  const store: ActivityDeps['objects'] = {
    put: async (_workspace, given) => {
      const bytes = Buffer.isBuffer(given) ? given : await buffer(given);
      const name = createHash('sha256').update(bytes).digest('hex');
      objects.set(name, bytes);
      return { sha256: name, size: bytes.length };
    },
    get: (_workspace, name) => Promise.resolve(objects.get(name) ?? Buffer.alloc(0)),
    open: (_workspace, name) => {
      const bytes = objects.get(name) ?? Buffer.alloc(0);
      return Promise.resolve(Object.assign(Readable.from([bytes]), { size: bytes.length }));
    },
  };
  return { objects, store };
}

/** What a run left behind, by plain SQL. */
function readers(db: Database) {
  const one = async <T extends object>(name: string, text: string, runId: string): Promise<T> => {
    const [row] = await db.rows<T & JsonObject>({ name, text, values: [runId] });
    if (!row) throw new Error(`no ${name} of ${runId}`);
    return row;
  };
  return {
    statuses: async (runId: string): Promise<Record<string, string>> => {
      const rows = await db.rows<{ task: number; status: string; names: string[] }>({
        name: 'statuses',
        text: `select t.task, t.status, array(select json_array_elements_text(p.body->'graph'->'names')) as names
          from task t join run r on r.id = t.run join plan p on p.hash = r.plan where t.run = $1 and t.item = -1 order by t.task`,
        values: [runId],
      });
      return Object.fromEntries(rows.map((row) => [row.names[row.task] ?? '', row.status]));
    },
    events: (runId: string) =>
      db.rows<{ seq: string; type: string; task: number | null; item: number | null; data: Json }>({
        name: 'events',
        text: 'select seq, type, task, item, data from run_event where run = $1 order by seq',
        values: [runId],
      }),
    state: (runId: string) =>
      one<{ status: string; open: number; last_seq: string; failure: Json }>('state', 'select * from run_state where run = $1', runId),
    output: async (runId: string) => (await one<{ output: Json }>('output', 'select output from run_output where run = $1', runId)).output,
  };
}

function submitter(submits: ReturnType<typeof createSubmits>, workspace: string) {
  return async (plan: Plan, input: Json = {}): Promise<string> => {
    const body = canonicalJson(plan);
    const submitted = await submits.submitRun({
      ...{
        workspace,
        principal: 'test',
        requestHash: sha256(randomUUID()),
        definition: plan.name,
        tasks: countedTasks(plan.graph),
        artifacts: [],
      },
      ...{ plan: { hash: sha256(body), body }, input: JSON.stringify(input), priority: 0, labels: {}, createdBy: 'test' },
    });
    return submitted.runId;
  };
}

const inActivity = async <A extends unknown[], R>(activity: (...args: A) => Promise<R>, ...args: A): Promise<R> =>
  await new MockActivityEnvironment().run(activity, ...args);

/** The activities over a database of their own, with a stand-in for the workflow that runs inline plans to their end. */
export async function anEngine(executors: Executors = {}, more: Partial<ActivityDeps> = {}) {
  const base = await aDatabase();
  const db: Database = await base.open();
  const journal = createJournal({ url: base.url });
  const submits = createSubmits({ url: base.url });
  const commands = createCommands({ url: base.url });
  const workspace = randomUUID();
  const { objects, store } = inMemoryObjects();
  const deps: ActivityDeps = {
    ...{ worker: randomUUID(), db, journal, executors, objects: store, kick: () => undefined, started: () => undefined },
    ...{
      poke: nothing,
      maxEffects: 100,
      fireSchedule: nothing,
      requestCancel: nothing,
      noteCancel: nothing,
      now: Date.now,
      random: () => 0,
    },
    aborts: { add: () => () => undefined },
    maxOutput: 2 ** 20,
    external: { maxArgs: 1_024, startMs: 1_000, mayUse: (taskQueue) => taskQueue !== 'ours' },
    maxMappedChildren: 1_000,
    readSecrets: () => Promise.resolve({}),
    solo: () => Promise.reject(new Problem('task_crashed_worker')),
    log: { warn: () => undefined },
    ...more,
  };
  const { activities, carry, carryAgain } = createEngine(deps);
  const submit = submitter(submits, workspace);
  return {
    ...{
      db,
      journal,
      commands,
      workspace,
      activities,
      carry,
      carryAgain,
      deps,
      inActivity,
      submit,
      url: base.url,
      objects,
      open: base.open,
    },
    ...readers(db),
    /** Submits a definition of inline tasks and runs it to its end. @returns the run's id */
    run: async (definition: Json, input: Json = {}): Promise<string> => {
      const runId = await submit(aPlan(definition), input);
      const loaded = await inActivity(activities.loadRun, runId);
      if (!('ended' in loaded) && loaded.closed === null)
        throw new Error(`the first segment did not close the run: ${JSON.stringify(loaded)}`);
      return runId;
    },
    close: async () => {
      await Promise.all([journal.close(), submits.close(), commands.close()]);
      await base.drop();
    },
  };
}
