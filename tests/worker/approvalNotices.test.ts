import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createNotify } from '../../src/activities/kinds/notify.ts';
import type { Executor } from '../../src/activities/kinds/executor.ts';
import type { Database } from '../../src/db/database.ts';
import { claimNotices, claimReminders } from '../../src/db/approvalNotices.ts';
import { createPlans } from '../../src/db/repositories/plans.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { Problem } from '../../src/domain/problem.ts';
import { createMailer } from '../../src/providers/mail/mailer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createRegistry, createWorkerMetrics } from '../../src/runtime/metrics.ts';
import { startApprovalNotices } from '../../src/worker/approvalNotices.ts';
import { aMailServer, type MailServer } from '../support/aMailServer.ts';
import { anEngine, aPlan, type Engine } from '../support/anEngine.ts';
import { until } from '../support/until.ts';
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
  await sql('delete from approval_notice');
  await sql('update wait set closed = true');
});
afterAll(async () => {
  mails.close();
  await engine.close();
});

const aSender = (send: Executor = notify, tries = 3) => {
  const metrics = createWorkerMetrics(createRegistry());
  const sender = startApprovalNotices(
    { db: engine.db, plans: createPlans(engine.db), notify: send, log: silent, metrics, clock: systemClock, random: () => 0 },
    { tries, delayMs: 1 },
  );
  started.push(sender);
  const results = async () => (await metrics.reminders.get()).values.map(({ labels, value }) => [labels.result, value]);
  return { ...sender, results };
};
const sql = async <R extends object>(text: string, ...values: unknown[]) => (await engine.db.pool.query<R>(text, values)).rows;
const mail = { channel: 'mail', to: 'ann@example.com' };

/** A run that waits for an approval with these reminders. */
const anApproval = (remind: JsonObject, more: JsonObject = {}) => aRun({ remind }, more);
async function aRun(fields: JsonObject, more: JsonObject = {}): Promise<string> {
  const tasks = { ask: { type: 'approval', with: { message: 'Ship it?', ...fields }, ...more } };
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
const news = async (run: string) =>
  sql<{ type: string; data: JsonObject }>(
    `select type, data from run_event where run = $1 and type in ('task.notified', 'task.notice_failed') order by seq`,
    run,
  );
const gapless = async (run: string) => {
  const [row] = await sql<{ ok: boolean }>(
    `select count(*) = max(e.seq) and max(e.seq) = (select last_seq from run_state where run = $1) as ok from run_event e where e.run = $1`,
    run,
  );
  return row?.ok;
};
const arrived = (count: number) => until(() => mails.mails.length >= count);

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

test("what a worker has in hand is nobody else's; if it dies with it, the next sends it once its lease is over", async () => {
  const run = await anApproval({ every: 'PT1H', max: 3, ...mail });
  await back(run, '61 minutes');
  await claimReminders(engine.db, 10);
  expect(await claimNotices(engine.db, 10, 60_000)).toMatchObject([{ run, number: 1, tries: 1 }]); // and there it dies
  expect(await claimNotices(engine.db, 10, 60_000)).toEqual([]);
  await sql('update approval_notice set next_at = now() where run = $1', run);
  aSender().kick();
  await arrived(1);
  await until(async () => (await sql('select from approval_notice where run = $1', run)).length === 0);
  expect(mails.mails.map(({ text }) => /reminder\/\d/.exec(text)?.[0])).toEqual(['reminder/1']);
});

test('times that have passed while nobody was there are one reminder', async () => {
  const run = await anApproval({ after: ['PT1H', 'PT2H', 'PT3H', 'P1D'], ...mail });
  await back(run, '4 hours');
  expect(await claimReminders(engine.db, 10)).toEqual([{ run, channel: 'mail' }]);
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

test('without a channel the log of the run is told alone', async () => {
  const sender = aSender();
  const run = await anApproval({ after: ['PT1H'] });
  await back(run, '1 hour');
  sender.kick();
  await until(async () => (await sender.results()).length === 1);
  expect(await sender.results()).toEqual([['told', 1]]);
  expect(await reminded(run)).toEqual([{ number: 1, of: 1 }]);
});

test('an approval tells that it has been opened, once, however many workers there are', async () => {
  const senders = [aSender(), aSender(), aSender()];
  const runs = await Promise.all(Array.from({ length: 5 }, () => aRun({ notify: { ...mail, subject: 'Please decide' } })));
  for (const { kick } of [...senders, ...senders]) kick();
  await until(async () => (await Promise.all(runs.map(news))).every((told) => told.length === 1));
  expect(mails.mails.map(({ text }) => /<([^>]*)\/opened@product.example>/.exec(text)?.[1]).sort()).toEqual(
    runs.map((run) => `${run}/ask/-/0`).sort(),
  );
  expect(mails.mails[0]?.text).toContain('Please decide');
  for (const run of runs) {
    expect(await news(run)).toEqual([{ type: 'task.notified', data: { channel: 'mail', tries: 1 } }]);
    expect(await gapless(run)).toBe(true);
  }
});

test('a notice that cannot be sent is tried again under its key; the one that is sent in the end is told', async () => {
  const keys: string[] = [];
  const flaky: Executor = (_input, { key, attempt }) => {
    keys.push(key);
    return attempt < 3 ? Promise.reject(new Problem('mail_failed')) : Promise.resolve(null);
  };
  const sender = aSender(flaky);
  const run = await aRun({ notify: mail });
  sender.kick();
  await until(async () => (await news(run)).length === 1);
  expect(await news(run)).toEqual([{ type: 'task.notified', data: { channel: 'mail', tries: 3 } }]);
  expect(keys).toEqual(Array.from({ length: 3 }, () => `${run}/ask/-/0/opened`));
});

test('after its last try, or a failure that is final, it is given up, which the log tells and the approval survives', async () => {
  const [often, never, reminder] = await Promise.all([
    aRun({ notify: mail }),
    aRun({ notify: { channel: 'webhook', to: 'https://example.com/hook' } }),
    anApproval({ after: ['PT1H'], ...mail }),
  ]);
  await back(reminder, '1 hour');
  const sender = aSender(({ channel }) => Promise.reject(new Problem(channel === 'mail' ? 'mail_failed' : 'not_configured')), 2);
  sender.kick();
  await until(async () => (await Promise.all([often, never, reminder].map(news))).every((told) => told.length === 1));
  const lost = (number: number, tries: number, code: string, channel: string) => [
    { type: 'task.notice_failed', data: { number, channel, tries, code, message: expect.any(String) as unknown } },
  ];
  expect(await news(often)).toEqual(lost(0, 2, 'mail_failed', 'mail'));
  expect(await news(never)).toEqual(lost(0, 1, 'not_configured', 'webhook'));
  expect(await news(reminder)).toEqual(lost(1, 2, 'mail_failed', 'mail'));
  expect(await sql('select from approval_notice')).toEqual([]);
  await engine.commands.command({ type: 'approve', run: often, workspace: engine.workspace, task: 0, by: 'key:1', output: '{}' });
});

test('nobody is told of what has been decided before a try succeeded', async () => {
  const run = await aRun({ notify: mail });
  await engine.commands.command({ type: 'approve', run, workspace: engine.workspace, task: 0, by: 'key:1', output: '{}' });
  expect(await claimNotices(engine.db, 10, 1_000)).toEqual([]);
  expect(await sql('select from approval_notice where run = $1', run)).toEqual([]);
});

test('reminders without a channel of their own go the way of the first notice', async () => {
  const sender = aSender();
  const run = await aRun({ notify: { ...mail, subject: 'First' }, remind: { after: ['PT1H'] } });
  sender.kick();
  await arrived(1);
  await back(run, '1 hour');
  sender.kick();
  await arrived(2);
  expect(await reminded(run)).toEqual([{ number: 1, of: 1, channel: 'mail' }]);
});

test('what an expression gives is checked when the approval is opened', async () => {
  const tasks = { ask: { type: 'approval', with: { message: 'Ship it?', remind: { every: '${input.every}' } } } };
  const run = await engine.submit(aPlan({ dsl: 'tiu/1', name: 'probe', tasks }), { every: 'PT0.5S' });
  await engine.inActivity(engine.activities.loadRun, run);
  const [task] = await sql<{ failure: JsonObject }>('select failure from task where run = $1', run);
  expect(task?.failure).toMatchObject({ code: 'invalid_task_input', message: expect.stringContaining('with.remind/every') as unknown });
});
