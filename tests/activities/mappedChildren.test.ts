import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createChildren, type Children } from '../../src/db/children.ts';
import { createPlans } from '../../src/db/repositories/plans.ts';
import { createSubmits } from '../../src/db/submit.ts';
import type { Json, JsonObject } from '../../src/domain/json.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';

let engine: Engine;
let submits: ReturnType<typeof createSubmits>;
let children: Children;
beforeAll(async () => {
  engine = await anEngine({}, { maxMappedChildren: 5 });
  submits = createSubmits({ url: engine.url });
  children = createChildren({
    ...{ db: engine.db, plans: createPlans(engine.db), submitRun: submits.submitRun, command: engine.commands.command },
    defaults: { maxInputBytes: 2 ** 20, mode: 'standard' },
    readObject: engine.deps.objects.get,
  });
});
afterAll(async () => {
  await submits.close();
  await engine.close();
});

const MAP = 0;
/** A map that starts a run for each of the first numbers, and what comes after. */
const mapped = (items: Json, map: JsonObject = {}, task: JsonObject = {}): JsonObject => ({
  dsl: 'tiu/1',
  name: 'outer',
  tasks: {
    all: {
      type: 'workflow',
      map: { items, ...map },
      with: {
        definition: {
          dsl: 'tiu/1',
          name: 'inner',
          tasks: { a: { type: 'transform', with: { value: '${input.n * 2}' } } },
          output: { value: '${tasks.a.output}' },
        },
        input: { n: '${item}' },
      },
      ...task,
    },
  },
  output: { value: { output: '${tasks.all.output}', items: '${tasks.all.items.map(i, i.status)}' } },
});

const load = (run: string) => engine.inActivity(engine.activities.loadRun, run);
async function open(definition: JsonObject): Promise<string> {
  const run = await engine.submit(aPlan(definition));
  await load(run);
  return run;
}
const sql = <T extends object>(name: string, text: string, ...values: unknown[]) => engine.db.rows<T>({ name, text, values });
const startedBy = async (run: string): Promise<string[]> =>
  (await sql<{ id: string }>('started', 'select id from run where parent = $1 order by id', run)).map(({ id }) => id);
const items = async (run: string): Promise<string[]> =>
  (
    await sql<{ status: string }>('items', 'select status from task where run = $1 and task = $2 and item >= 0 order by item', run, MAP)
  ).map(({ status }) => status);
const waitOfMap = async (run: string) =>
  (
    await sql<{ decision: string | null; failure: Json }>('map', `select decision, failure from wait where run = $1 and kind = 'map'`, run)
  )[0];
async function gapless(run: string): Promise<void> {
  const events = await engine.events(run);
  expect(events.map(({ seq }) => Number(seq))).toEqual(events.map((_, i) => i + 1));
}
/** The run goes on with what was decided, as its execution would. */
async function goOn(run: string): Promise<void> {
  const loaded = await load(run);
  if (!('epoch' in loaded)) return;
  await engine.inActivity(engine.activities.readChanges, { runId: run, epoch: loaded.epoch, since: 0 });
  await engine.inActivity(engine.activities.finishRun, { runId: run, epoch: loaded.epoch });
}

test('two workers that look at once start no more runs than may be open, each once, and the outputs keep their order', async () => {
  const run = await open(mapped([1, 2, 3, 4, 5], { maxConcurrency: 2 }));
  const ended = new Set<string>();
  while (ended.size < 5) {
    await Promise.all(Array.from({ length: 4 }, () => children.look()));
    const started = await startedBy(run);
    const fresh = started.filter((id) => !ended.has(id));
    expect(fresh.length).toBeGreaterThan(0);
    expect(fresh.length).toBeLessThanOrEqual(2);
    const [next = ''] = fresh.reverse(); // not in the order in which they were started
    await load(next);
    ended.add(next);
  }
  expect(await children.settle()).toBe(true);
  expect((await startedBy(run)).length).toBe(5);
  await goOn(run);
  expect(await engine.output(run)).toEqual({ output: [2, 4, 6, 8, 10], items: Array<string>(5).fill('completed') });
  await gapless(run);
});

test('the runs of a map are in the project of the run that has it', async () => {
  const run = await open(mapped([1, 2]));
  await sql('in_project', 'update run set project = $2 where id = $1', run, '00000000-0000-4000-8000-000000000001');
  await children.look();
  const projects = await sql<{ project: string }>('projects', 'select project from run where parent = $1', run);
  expect(projects.map(({ project }) => project)).toEqual(Array<string>(2).fill('00000000-0000-4000-8000-000000000001'));
});

test('as many items as may be, and one more', async () => {
  expect(await engine.statuses(await open(mapped([1, 2, 3, 4, 5])))).toEqual({ all: 'waiting' });
  const run = await open(mapped([1, 2, 3, 4, 5, 6]));
  expect(await engine.statuses(run)).toEqual({ all: 'failed' });
  expect((await engine.state(run)).failure).toMatchObject({ code: 'too_many_items' });
});

test('items that the condition leaves out, and those that fail before they have a run, have none', async () => {
  const run = await open(
    mapped([1, 'x', 3], { if: '${item != 3}', tolerate: { count: 1 } }, { with: { name: 'nowhere', input: { n: '${item * 2}' } } }),
  );
  expect(await items(run)).toEqual(['waiting', 'failed', 'skipped']);
  await children.look();
  await children.settle();
  expect(await items(run)).toEqual(['failed', 'failed', 'skipped']);
  expect(await waitOfMap(run)).toMatchObject({ decision: 'failed', failure: { code: 'items_failed', message: '2 of 3 items failed' } });
});

test('a map without items, or of which none gets a run, is settled where it is opened', async () => {
  for (const [list, expected] of [
    [[], []],
    [
      [1, 2],
      ['skipped', 'skipped'],
    ],
  ] as const) {
    const run = await open(mapped([...list], { if: '${item > 2}' }));
    expect(await engine.output(run)).toEqual({ output: [], items: expected });
  }
});

test('a worker that dies before the map waits has started nothing, and the next goes on with the rows that are there', async () => {
  const run = await open(mapped([1, 2, 3]));
  await sql('undone', `delete from wait where run = $1 and kind = 'map'`, run);
  await sql('undone_items', `delete from wait where run = $1 and item = 2`, run);
  await sql('undone_rows', 'delete from task where run = $1 and item = 2', run);
  await sql('undone_task', `update task set status = 'running' where run = $1 and item = -1`, run);
  await children.look();
  expect(await startedBy(run)).toEqual([]);
  await load(run);
  expect(await items(run)).toEqual(['waiting', 'waiting', 'waiting']);
  await children.look();
  expect((await startedBy(run)).length).toBe(3);
  await gapless(run);
});

test('a start whose worker has died is made again under the same id', async () => {
  const run = await open(mapped([1]));
  await sql('claimed', 'select * from claim_children_v2(50)');
  const [claimed] = await sql<{ child: string }>(
    'claimed_as',
    `update wait set since = since - interval '11 s' where run = $1 and kind = 'child' returning child`,
    run,
  );
  expect(await startedBy(run)).toEqual([]);
  await children.look();
  expect(await startedBy(run)).toEqual([claimed?.child]);
});

test('a cancel ends the items that have no run yet and goes down to the others', async () => {
  const waits: JsonObject = { dsl: 'tiu/1', name: 'inner', tasks: { w: { type: 'wait', with: { for: 'PT1H' } } } };
  const run = await open(mapped([1, 2, 3], { maxConcurrency: 1 }, { with: { definition: waits } }));
  await children.look();
  const { workspace, commands } = engine;
  await commands.command({ type: 'cancel', run, workspace, by: 'test', reason: 'enough' });
  await children.settle();
  await children.look();
  expect(await items(run)).toEqual(['waiting', 'cancelled', 'cancelled']);
  expect((await waitOfMap(run))?.decision).toBeNull();
  const [child = ''] = await startedBy(run);
  await sql('queue', 'select * from end_queued_v1(10)');
  expect(await engine.state(child)).toMatchObject({ status: 'cancelled' });
  await children.settle();
  expect(await items(run)).toEqual(['cancelled', 'cancelled', 'cancelled']);
  expect((await waitOfMap(run))?.decision).toBe('cancelled');
  expect((await startedBy(run)).length).toBe(1);
  await gapless(run);
});

test('a pause goes down to the runs of items, and no other item gets one until it is over', async () => {
  const run = await open(mapped([1, 2, 3], { maxConcurrency: 2 }));
  const { workspace, commands } = engine;
  await children.look();
  const [first = '', second = ''] = await startedBy(run);
  const paused = async () =>
    (await sql<{ paused: boolean }>('paused', 'select paused from run_state where run = any($1) order by run', [first, second])).map(
      (row) => row.paused,
    );
  await commands.command({ type: 'pause', run, workspace, by: 'test', reason: '' });
  await children.look();
  expect(await paused()).toEqual([true, true]);
  await sql('by_hand', `update run_state set status = 'completed', finished = now() where run = $1`, first);
  await children.look();
  expect((await startedBy(run)).length).toBe(2);
  await commands.command({ type: 'resume', run, workspace, by: 'test', reason: '' });
  await children.look();
  expect([await paused(), (await startedBy(run)).length]).toEqual([[true, false], 3]);
});

test('the deadline of a map ends it and the runs of its items; those that end as it passes change nothing', async () => {
  const { tasks, ...definition } = mapped([1, 2], { maxConcurrency: 1 }, { deadline: 'PT1H' });
  const beside: JsonObject = { type: 'wait', with: { for: 'PT2H' } }; // the run goes on
  const run = await open({ ...definition, tasks: { ...(tasks as JsonObject), beside } });
  await children.look();
  const [child = ''] = await startedBy(run);
  const [due] = await sql<{ ms: number }>(
    'due',
    'select extract(epoch from s.deadline - r.created)::float8 * 1000 as ms from run r join run_state s on s.run = r.id where r.id = $1',
    child,
  );
  expect(due?.ms).toBeLessThanOrEqual(3_600_000);
  await sql('late', `update wait set until = now() - interval '1 s' where run = $1 and kind = 'deadline'`, run);
  await goOn(run);
  expect(await engine.statuses(run)).toEqual({ all: 'timed_out', beside: 'waiting' });
  expect(await items(run)).toEqual(['cancelled', 'cancelled']);
  await children.look();
  expect(await sql('asked', 'select intent from run_state where run = $1', child)).toEqual([{ intent: 'force' }]);
  await gapless(run);

  const late = await open(mapped([1], {}, { deadline: 'PT1H' }));
  await children.look();
  await sql('late', `update wait set until = now() - interval '1 s' where run = $1 and kind = 'deadline'`, late);
  await sql(
    'failed',
    `update run_state set status = 'timed_out', finished = now() where run = any(array(select id from run where parent = $1))`,
    late,
  );
  await children.settle();
  expect(await waitOfMap(late)).toMatchObject({ decision: 'timed_out' });
});

test('an item that is settled by hand ends its run, and the last one ends the map', async () => {
  const run = await open(mapped([1, 2], { maxConcurrency: 1 }));
  await children.look();
  const { workspace, commands } = engine;
  for (const item of [0, 1])
    await commands.command({
      type: 'complete',
      run,
      workspace,
      by: 'test',
      reason: '',
      task: MAP,
      main: 1,
      item,
      output: { output: '7', outputSize: 1 },
    });
  await children.settle();
  await children.look();
  const [child = '', ...others] = await startedBy(run);
  expect(others).toEqual([]);
  expect(await sql('asked', 'select intent from run_state where run = $1', child)).toEqual([{ intent: 'force' }]);
  await goOn(run);
  expect(await engine.output(run)).toEqual({ output: [7, 7], items: ['completed', 'completed'] });
  await gapless(run);
});

test('a run that cleans up after a cancel has runs of its own, which the cancel does not reach', async () => {
  const { workspace, commands, activities, inActivity } = engine;
  const inner: JsonObject = { dsl: 'tiu/1', name: 'inner', tasks: { w: { type: 'wait', with: { for: 'PT1H' } } } };
  const run = await open({
    ...{ dsl: 'tiu/1', name: 'outer', tasks: { w: { type: 'wait', with: { for: 'PT1H' } } } },
    finally: { one: { type: 'workflow', with: { definition: inner } } },
  });
  await commands.command({ type: 'cancel', run, workspace, by: 'test', reason: 'enough' });
  const loaded = await load(run);
  if (!('epoch' in loaded)) throw new Error('the run has ended');
  const { epoch } = loaded;
  await inActivity(activities.sweep, { runId: run, epoch, tasks: [0], intent: 'cancel' });
  expect(await inActivity(activities.finishRun, { runId: run, epoch, phase: 0 })).toMatchObject({ phase: 2 });
  await inActivity(activities.runSegment, { runId: run, epoch, roots: [1], sliceMs: 1_000 });
  await children.look();
  await children.look();
  const [child = ''] = await startedBy(run);
  expect(await sql('asked', 'select intent from run_state where run = $1', child)).toEqual([{ intent: null }]);
});

test('a run that only waits for the runs of its items goes on waiting, and says so', async () => {
  const run = await open(mapped([1, 2]));
  await children.look();
  const loaded = await load(run);
  if ('epoch' in loaded) await engine.inActivity(engine.activities.markWaiting, run, loaded.epoch);
  const [child = ''] = await startedBy(run);
  await load(child);
  await children.settle();
  expect(await engine.state(run)).toMatchObject({ status: 'waiting' });
  expect((await engine.events(run)).at(-1)?.type).toBe('run.waiting');
  await gapless(run);
});

test('the tasks of a map run in a run of their own with what they name of what is around them', async () => {
  const run = await engine.submit(
    aPlan({
      dsl: 'tiu/1',
      name: 'outer',
      tasks: {
        factor: { type: 'transform', with: { value: { by: 10 } } },
        unnamed: { type: 'transform', with: { value: 'nobody names it' } },
        all: {
          map: {
            items: '${input.numbers}',
            as: 'n',
            tasks: {
              times: { type: 'transform', with: { value: '${n * tasks.factor.output.by + input.plus}' } },
              text: { type: 'transform', with: { value: '${index}: ${tasks.times.output}' } },
            },
          },
        },
      },
      output: { value: '${tasks.all.output}' },
    }),
    { numbers: [1, 2], plus: 3 },
  );
  await load(run);
  await children.look();
  const started = await startedBy(run);
  expect(await sql('inputs', `select input from run where parent = $1 order by input->'names'->>'index'`, run)).toEqual(
    [1, 2].map((n, index) => ({
      input: {
        input: { numbers: [1, 2], plus: 3 },
        names: { index, n },
        tasks: { factor: { output: { by: 10 } } },
      },
    })),
  );
  for (const child of started) await load(child);
  await children.settle();
  await goOn(run);
  expect(await engine.output(run)).toEqual(['0: 13', '1: 23']);
});

test('maps of tasks inside each other see all that is around them', async () => {
  const run = await engine.submit(
    aPlan({
      dsl: 'tiu/1',
      name: 'outer',
      tasks: {
        t: { type: 'transform', with: { value: 'T' } },
        rows: {
          map: {
            items: [['a', 'b'], ['c']],
            as: 'row',
            tasks: {
              u: { type: 'transform', with: { value: 'U${index}' } },
              cells: {
                map: {
                  items: '${row}',
                  as: 'cell',
                  tasks: { v: { type: 'transform', with: { value: '${tasks.t.output}${tasks.u.output}${size(row)}${cell}${index}' } } },
                },
              },
            },
          },
        },
      },
      output: { value: '${tasks.rows.output}' },
    }),
  );
  await load(run);
  await children.look();
  const rows = await startedBy(run);
  for (const row of rows) {
    await load(row);
    await children.look();
    for (const cell of await startedBy(row)) await load(cell);
    await children.settle();
    await goOn(row);
  }
  await children.settle();
  await goOn(run);
  expect(await engine.output(run)).toEqual([['TU02a0', 'TU02b1'], ['TU11c0']]);
});
