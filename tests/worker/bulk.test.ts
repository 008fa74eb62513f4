import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { forgetBulk, nextBulk, scanRuns, type DueBulk } from '../../src/db/bulk.ts';
import type { Commands } from '../../src/db/commands.ts';
import { createPlans } from '../../src/db/repositories/plans.ts';
import { findBulk, startBulk as startJob, storedFilter, type BulkRow, type NewBulk } from '../../src/db/repositories/bulk.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { startBulk } from '../../src/worker/bulk.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';
import { until } from '../support/until.ts';
import { silent } from './support/aWorker.ts';

let engine: Engine;
let duty: { kick: () => void; stop: () => Promise<void> };
const aDuty = (rate: number, commandMany: Commands['commandMany'] = engine.commands.commandMany) =>
  startBulk({ db: engine.db, plans: createPlans(engine.db), commandMany, log: silent, clock: systemClock, worker: randomUUID() }, rate);
beforeAll(async () => {
  engine = await anEngine();
  duty = aDuty(1_000);
});
afterAll(async () => {
  await duty.stop();
  await engine.close();
});

const sql = async <R extends object>(text: string, ...values: unknown[]) => (await engine.db.pool.query<R>(text, values)).rows;
const named = (name: string) => ({ dsl: 'tiu/1', name, tasks: { a: { type: 'transform', with: { value: 1 } } } });
const queued = (name: string, n: number) => Promise.all(Array.from({ length: n }, () => engine.submit(aPlan(named(name)))));
const filterOf = (filter: Partial<NewBulk['filter']>): NewBulk['filter'] => ({
  ...{ workspace: engine.workspace, status: [], workflow: undefined, labels: [], since: undefined },
  ...filter,
});
async function aJob(type: NewBulk['type'], filter: Partial<NewBulk['filter']>, more: Partial<NewBulk> = {}): Promise<BulkRow> {
  const given = { type, force: false, reason: 'why', counted: 0, more: false, by: 'key:1', filter: filterOf(filter), ...more };
  const job = await startJob(engine.db, given, 10);
  if (!job) throw new Error('too many');
  return job;
}
const ended = ({ id }: BulkRow) =>
  until(async () => {
    const job = await findBulk(engine.db, { workspace: engine.workspace, id });
    return job?.finished != null && job;
  });
const did = async (type: NewBulk['type'], filter: Partial<NewBulk['filter']>, more: Partial<NewBulk> = {}) =>
  ended(await aJob(type, filter, more));
const intents = async (name: string) =>
  (await sql<{ intent: string | null }>('select s.intent from run_state s join run r on r.id = s.run where r.definition = $1', name)).map(
    ({ intent }) => intent,
  );

const gate = () => Promise.withResolvers<unknown>();

test('all runs of the filter get the command, with event, command and audit row that name the job, and no others', async () => {
  await Promise.all([queued('meant', 250), queued('other', 3)]);
  const job = await did('cancel', { workflow: 'meant', status: ['queued'] });
  expect(job).toMatchObject({ status: 'completed', done: 250, applied: 250, refused: {} });
  expect(new Set(await intents('meant'))).toEqual(new Set(['cancel']));
  expect(new Set(await intents('other'))).toEqual(new Set([null]));
  const told = await sql(
    `select c.payload, c.actor, e.data, a.action from run r join command c on c.run = r.id join run_event e on e.run = c.run and e.seq = c.seq
      join audit a on a.subject = 'run:' || r.id and a.action <> 'run.start' where r.definition = 'meant'`,
  );
  expect(told).toHaveLength(250);
  expect(told[0]).toEqual({
    payload: { reason: 'why', force: false, bulk: job.id },
    data: { reason: 'why', by: 'key:1', bulk: job.id },
    ...{ actor: 'key:1', action: 'run.cancel' },
  });
});

test('a run that was asked to end before is not forced by another cancel, unless the job says so', async () => {
  const [run = ''] = await queued('twice', 2);
  await engine.commands.command({ type: 'cancel', run, workspace: engine.workspace, by: 'key:2' });
  expect(await did('cancel', { workflow: 'twice' })).toMatchObject({ done: 2, applied: 1, refused: { state_conflict: 1 } });
  expect(await intents('twice')).toEqual(['cancel', 'cancel']);
  expect(await did('cancel', { workflow: 'twice' }, { force: true })).toMatchObject({ applied: 2 });
  expect(await intents('twice')).toEqual(['force', 'force']);
});

test('what is refused is counted by the code that a single command answers with', async () => {
  const [, closed = ''] = await queued('held', 2);
  await sql(`update run_state set finished = now(), status = 'failed' where run = $1`, closed);
  expect(await did('pause', { workflow: 'held' })).toMatchObject({ done: 2, applied: 1, refused: { run_already_closed: 1 } });
  expect(await did('pause', { workflow: 'held', status: ['queued'] })).toMatchObject({
    done: 1,
    applied: 0,
    refused: { state_conflict: 1 },
  });
  expect(await did('resume', { workflow: 'held', status: ['queued'] })).toMatchObject({ done: 1, applied: 1, refused: {} });
});

test('a retry opens the runs again that did not complete, each with what failed in it', async () => {
  const failing = (when: string) => ({
    dsl: 'tiu/1',
    name: 'again',
    tasks: {
      ok: { type: 'transform', with: { value: 1 } },
      bad: { type: 'assert', with: { that: when, message: 'no' }, dependsOn: ['ok'] },
    },
  });
  const failed = await engine.run(failing('tasks.ok.output > 1'));
  await engine.run(failing('tasks.ok.output == 1'));
  await engine.submit(aPlan(failing('true')));
  const job = await did('retry', { workflow: 'again' });
  expect(job).toMatchObject({ done: 3, applied: 1, refused: { state_conflict: 2 } });
  expect(await engine.state(failed)).toMatchObject({ status: 'queued', open: 1 });
  expect((await engine.events(failed)).find(({ type }) => type === 'command.retry')?.data).toEqual({
    ...{ reason: 'why', by: 'key:1', tasks: ['bad'], bulk: job.id },
  });
});

test('a run that has left the state of the filter since it was found does not get the command', async () => {
  const [run = ''] = await queued('moved', 1);
  const job = await aJob('cancel', { workflow: 'moved', status: ['running'] });
  const { status } = await ended(job);
  expect(status).toBe('completed');
  await sql('update bulk set finished = null where id = $1', job.id);
  const [row] = await sql<{ cursor: string }>('select cursor from bulk where id = $1', job.id);
  const step = { bulk: job.id, type: 'cancel', from: row?.cursor ?? '', to: run, last: true, runs: [run], orders: [] } as const;
  expect(await engine.commands.commandMany(step)).toEqual([]);
  expect(await intents('moved')).toEqual([null]);
  expect(await engine.commands.commandMany(step)).toBeUndefined();
});

test('runs are found in the order of their ids, a part at a time, and those accepted after the job are not', async () => {
  const runs = (await queued('found', 5)).sort();
  await sql(`update run set created = now() + interval '1 minute' where id = $1`, runs[4]);
  const bulk: DueBulk = {
    ...{ id: randomUUID(), workspace: engine.workspace, type: 'pause', created: new Date(Date.now() + 1_000).toISOString() },
    ...{ filter: storedFilter(filterOf({ workflow: 'found' })), cursor: '00000000-0000-0000-0000-000000000000' },
  };
  const first = await scanRuns(engine.db, bulk, 3);
  expect(first).toMatchObject({ to: runs[2], last: false });
  expect(first.runs.map(({ id }) => id)).toEqual(runs.slice(0, 3));
  const second = await scanRuns(engine.db, { ...bulk, cursor: first.to }, 3);
  expect(second.runs.map(({ id }) => id)).toEqual([runs[3]]);
  expect(second).toMatchObject({ last: true });
});

test('a step takes as many runs as 5,000 tasks belong to, and one at least', async () => {
  const runs = (await queued('wide', 4)).sort();
  for (const [i, total] of [6_000, 4_999, 1, 1].entries()) await sql('update run_state set total = $2::int where run = $1', runs[i], total);
  const bulk: DueBulk = {
    ...{ id: randomUUID(), workspace: engine.workspace, type: 'cancel', created: new Date(Date.now() + 1_000).toISOString() },
    ...{ filter: storedFilter(filterOf({ workflow: 'wide' })), cursor: '00000000-0000-0000-0000-000000000000' },
  };
  const steps: string[][] = [];
  for (let [cursor, last] = [bulk.cursor, false]; !last;) {
    const step = await scanRuns(engine.db, { ...bulk, cursor }, 100);
    steps.push(step.runs.map(({ id }) => id));
    ({ to: cursor, last } = step);
  }
  expect(steps).toEqual([[runs[0]], [runs[1], runs[2]], [runs[3]]]);
});

test('the next holder of the duty goes on from the cursor, and who held it before gives no command twice', async () => {
  await queued('long', 40);
  await duty.stop();
  const [stuck, released, late] = [gate(), gate(), gate()];
  let steps = 0;
  const first = aDuty(30, async (step) => {
    if (++steps < 4) return engine.commands.commandMany(step);
    stuck.resolve(undefined);
    await released.promise; // as a process that is stopped in the middle of a step, and goes on later
    const answer = await engine.commands.commandMany(step);
    late.resolve(answer);
    return answer;
  });
  const job = await aJob('cancel', { workflow: 'long' });
  await stuck.promise;
  expect(await findBulk(engine.db, { workspace: engine.workspace, id: job.id })).toMatchObject({ done: 9, status: 'running' });
  await sql(`update lease set expires = now() where key = 'bulk'`);
  duty = aDuty(100, async (step) => {
    const answer = await engine.commands.commandMany(step);
    released.resolve(undefined);
    await late.promise;
    return answer;
  });
  expect(await late.promise).toBeUndefined();
  await first.stop();
  expect(await ended(job)).toMatchObject({ done: 40, applied: 40, refused: {} });
  const counts = await sql(
    `select count(*)::int as n, count(distinct c.run)::int as runs from command c join run r on r.id = c.run where r.definition = 'long'`,
  );
  expect(counts).toEqual([{ n: 40, runs: 40 }]);
});

test('a job begins when somebody says that there is one', async () => {
  await queued('told', 3);
  await duty.stop();
  const turns = jest.spyOn(globalThis, 'setInterval').mockReturnValue(setTimeout(() => undefined)); // nothing is found by looking
  duty = aDuty(1_000);
  turns.mockRestore();
  const job = await aJob('pause', { workflow: 'told' });
  duty.kick();
  expect(await ended(job)).toMatchObject({ applied: 3 });
});

test('jobs take turns, and are forgotten a while after their end', async () => {
  await duty.stop();
  const jobs = [await aJob('pause', { workflow: 'none' }), await aJob('pause', { workflow: 'none' })];
  await sql(`update bulk set moved = now() - case id when $1 then 2 else 1 end * interval '1 s' where finished is null`, jobs[0]?.id);
  const turns = [await nextBulk(engine.db), await nextBulk(engine.db), await nextBulk(engine.db)];
  expect(turns.map((turn) => turn?.id)).toEqual([jobs[0]?.id, jobs[1]?.id, jobs[0]?.id]);
  await sql(`update bulk set finished = now() - interval '29 days 23 hours' where id = $1`, jobs[0]?.id);
  await sql(`update bulk set finished = now() - interval '30 days 1 hour' where id = $1`, jobs[1]?.id);
  await forgetBulk(engine.db, 30);
  expect(await Promise.all(jobs.map(async ({ id }) => (await findBulk(engine.db, { workspace: engine.workspace, id }))?.id))).toEqual([
    jobs[0]?.id,
    undefined,
  ]);
});
