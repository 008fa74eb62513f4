import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createNotify } from '../../src/activities/kinds/notify.ts';
import type { Executor } from '../../src/activities/kinds/executor.ts';
import type { Database } from '../../src/db/database.ts';
import { claimReminders } from '../../src/db/reminders.ts';
import { createPlans } from '../../src/db/repositories/plans.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Problem } from '../../src/domain/problem.ts';
import { createMailer } from '../../src/providers/mail/mailer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import { startReminders } from '../../src/worker/reminders.ts';
import { aMailServer, type MailServer } from '../support/aMailServer.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';
import { until } from './support/aRun.ts';
import { silent } from './support/aWorker.ts';

let engine: Engine;
let mails: MailServer;
let notify: Executor;
const started: { stop: () => Promise<void> }[] = [];
beforeAll(async () => {
  [engine, mails] = await Promise.all([anEngine(), aMailServer()]);
  const mailer = createMailer({ url: mails.url, from: 'tiu@product.example' });
  notify = createNotify({
    mailer,
    http: { send: () => Promise.reject(new Problem('http_failed')) },
    webhookKeys: [],
    now: Date.now,
  });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map(({ stop }) => stop()));
  mails.mails.length = 0;
});
afterAll(async () => {
  mails.close();
  await engine.close();
});

const aSender = (send: Executor = notify) => {
  const metrics = createWorkerMetrics(createRegistry());
  const sender = startReminders({ db: engine.db, plans: createPlans(engine.db), notify: send, log: silent, metrics, clock: systemClock });
  started.push(sender);
  const results = async () => (await metrics.reminders.get()).values.map(({ labels, value }) => [labels.result, value]);
  return { ...sender, results };
};
const sql = async <R extends object>(text: string, ...values: unknown[]) => (await engine.db.pool.query<R>(text, values)).rows;
const mail = { channel: 'mail', to: 'ann@example.com' };

/** A run that waits for an approval with these reminders. */
async function anApproval(remind: JsonObject, more: JsonObject = {}): Promise<string> {
  const tasks = { ask: { type: 'approval', with: { message: 'Ship it?', remind }, ...more } };
  const run = await engine.submit(aPlan({ dsl: 'tiu/1', name: 'probe', tasks }));
  await engine.inActivity(engine.activities.loadRun, run);
  return run;
}
/** So long ago it was opened, all of a sudden. */
const back = async (run: string, interval: string) => {
  await sql('update wait set since = since - $2::interval, remind_at = remind_at - $2::interval where run = $1', run, interval);
};
const reminded = async (run: string) =>
  (await sql<{ data: JsonObject }>(`select data from run_event where run = $1 and type = 'task.reminded' order by seq`, run)).map(
    ({ data }) => data,
  );
const gapless = async (run: string) => {
  const [row] = await sql<{ ok: boolean }>(
    `select count(*) = max(e.seq) and max(e.seq) = (select last_seq from run_state where run = $1) as ok from run_event e where e.run = $1`,
    run,
  );
  return row?.ok;
};
const arrived = (count: number) => until(() => Promise.resolve(mails.mails.length >= count));

test('a reminder that is due is sent with its number, once, and leaves its event', async () => {
  const sender = aSender();
  const run = await anApproval({ every: 'PT1H', max: 2, ...mail });
  expect(await claimReminders(engine.db, 10)).toEqual([]);
  await back(run, '61 minutes');
  sender.kick();
  await arrived(1);
  const [sent] = mails.mails;
  expect(sent).toMatchObject({ to: ['ann@example.com'] });
  expect(sent?.text).toContain('Ship it?');
  expect(sent?.text).toContain(`<${run}/ask/-/0/reminder/1@product.example>`);
  await back(run, '1 hour');
  sender.kick();
  await arrived(2);
  await back(run, '100 hours');
  expect(await claimReminders(engine.db, 10)).toEqual([]);
  expect(await reminded(run)).toEqual([
    { number: 1, of: 2, channel: 'mail' },
    { number: 2, of: 2, channel: 'mail' },
  ]);
  expect(await gapless(run)).toBe(true);
});

test('of many who ask at once, one gets each reminder', async () => {
  const runs = await Promise.all(Array.from({ length: 5 }, () => anApproval({ after: ['PT1H'], ...mail })));
  for (const run of runs) await back(run, '2 hours');
  const others: Database[] = await Promise.all(Array.from({ length: 4 }, () => engine.open()));
  const claims = await Promise.all([...others, ...others, ...others].map((db) => claimReminders(db, 3)));
  const left = await claimReminders(engine.db, 10);
  expect([...claims.flat(), ...left].map(({ run }) => run).sort()).toEqual(runs.sort());
  for (const run of runs) expect(await reminded(run)).toHaveLength(1);
});

test('a worker that dies with a reminder in hand does not send it twice when it is back', async () => {
  const run = await anApproval({ every: 'PT1H', max: 3, ...mail });
  await back(run, '61 minutes');
  expect(await claimReminders(engine.db, 10)).toMatchObject([{ run, number: 1 }]); // and there it dies
  const sender = aSender();
  await back(run, '1 hour');
  sender.kick();
  await arrived(1);
  expect(mails.mails.map(({ text }) => /reminder\/\d/.exec(text)?.[0])).toEqual(['reminder/2']);
});

test('times that have passed while nobody was there are one reminder', async () => {
  const run = await anApproval({ after: ['PT1H', 'PT2H', 'PT3H', 'P1D'], ...mail });
  await back(run, '4 hours');
  expect(await claimReminders(engine.db, 10)).toMatchObject([{ run, number: 3 }]);
  expect(await reminded(run)).toEqual([{ number: 3, of: 4, channel: 'mail' }]);
  const [wait] = await sql<{ hours: number }>(
    'select round(extract(epoch from remind_at - since) / 3600)::int as hours from wait where run = $1',
    run,
  );
  expect(wait?.hours).toBe(24);
});

test('nobody is reminded of what has been decided, has ended, or is past its deadline', async () => {
  const [decided, ended, late] = await Promise.all([
    anApproval({ every: 'PT1H' }),
    anApproval({ every: 'PT1H' }),
    anApproval({ every: 'PT1H' }, { deadline: 'PT90M' }),
  ]);
  await engine.commands.command({ type: 'approve', run: decided, workspace: engine.workspace, task: 0, by: 'key:1', output: '{}' });
  await sql(`update run_state set finished = now(), status = 'cancelled' where run = $1`, ended);
  await sql("update wait set until = now() - interval '1 s' where run = $1", late);
  for (const run of [decided, ended, late]) await back(run, '3 hours');
  expect(await claimReminders(engine.db, 10)).toEqual([]);
});

test('a run that somebody holds is left for the next time, and holds up no other', async () => {
  const [held, free] = await Promise.all([anApproval({ every: 'PT1H' }), anApproval({ every: 'PT1H' })]);
  for (const run of [held, free]) await back(run, '1 hour');
  const client = await engine.db.pool.connect();
  await client.query('begin');
  await client.query('select from run_state where run = $1 for no key update', [held]);
  const claimed = await claimReminders(engine.db, 10).catch((error: unknown) => [{ run: String(error) }]);
  await client.query('commit');
  client.release();
  expect(claimed.map(({ run }) => run)).toEqual([free]);
  expect((await claimReminders(engine.db, 10)).map(({ run }) => run)).toEqual([held]);
});

test('without a channel the log of the run is told alone; what cannot be sent is counted', async () => {
  const sender = aSender(() => Promise.reject(new Problem('mail_failed')));
  const [quiet, failing] = await Promise.all([anApproval({ after: ['PT1H'] }), anApproval({ after: ['PT1H'], ...mail })]);
  for (const run of [quiet, failing]) await back(run, '1 hour');
  sender.kick();
  await until(async () => (await sender.results()).length === 2);
  expect(new Map(await sender.results() as [string, number][])).toEqual(new Map([['told', 1], ['failed', 1]])); // prettier-ignore
  expect(await reminded(quiet)).toEqual([{ number: 1, of: 1 }]);
});

test('what an expression gives is checked when the approval is opened', async () => {
  const tasks = { ask: { type: 'approval', with: { message: 'Ship it?', remind: { every: '${input.every}' } } } };
  const run = await engine.submit(aPlan({ dsl: 'tiu/1', name: 'probe', tasks }), { every: 'PT0.5S' });
  await engine.inActivity(engine.activities.loadRun, run);
  const [task] = await sql<{ failure: JsonObject }>('select failure from task where run = $1', run);
  expect(task?.failure).toMatchObject({ code: 'invalid_task_input', message: expect.stringContaining('with.remind/every') as unknown });
});
