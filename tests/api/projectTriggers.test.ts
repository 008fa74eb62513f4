import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey } from '../../src/dev/keptIn.ts';
import { signWebhook } from '../../src/providers/webhook/signWebhook.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { sql } from './auth/aPerson.ts';

/** Schedules and triggers whose runs are in a project. */

let api: TestApi;
let lead: Person;
let billing: string;
beforeAll(async () => {
  api = await anApi({ TIU_TOKEN_KEYS: newKey(), TIU_SECRET_KEYS: newKey() });
  await api.call('POST', '/api/v1/workflows', { body: { definition } });
  billing = await aProject('billing');
  await aProject('other');
  lead = await aPerson(api, { role: 'viewer' });
  const role = { body: { role: 'developer' } };
  expect((await api.call('PUT', `/api/v1/projects/billing/members/${lead.account}`, role)).status).toBe(200);
});
afterAll(() => api.stop());

const tasks = { a: { type: 'transform', with: { value: 1 } } };
const definition = { dsl: 'tiu/1', name: 'job', tasks };
const aProject = async (name: string) => ((await api.call('POST', '/api/v1/projects', { body: { name } })).body as { id: string }).id;
const archive = (name: string) => api.call('PATCH', `/api/v1/projects/${name}`, { body: { archived: true } });
const schedule = (name: string, more: object = {}, by?: Person) =>
  api.call('POST', '/api/v1/schedules', {
    ...(by && { key: by.key }),
    body: { name, workflow: { name: 'job' }, spec: { cron: '* * * * *' }, ...more },
    headers: { 'idempotency-key': randomUUID() },
  });
const patch = (name: string, body: object, by?: Person) =>
  api.call('PATCH', `/api/v1/schedules/${name}`, { ...(by && { key: by.key }), body });
const runsOf = (createdBy: string) =>
  sql<{ project: string | null }>(api.deps.engine, 'select project from run where created_by = $1 order by created', [createdBy]);
const idOf = ({ body }: { body: unknown }) => (body as { id: string }).id;
/** Lets the times of the last minute come, as a worker does. */
async function fire(id: string): Promise<void> {
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  await sql(api.deps.engine, 'update schedule set through = $2 where id = $1', [id, new Date(minute - 1_000)]);
  expect(await api.deps.fires.fireDue(id, minute)).toBe('fired');
}
type Fire = { status: string; failure: { code: string } | null };
const fires = async (id: string) => ((await api.call('GET', `/api/v1/schedules/${id}/fires`)).body as { items: Fire[] }).items;

test('runs of a schedule are in its project, at its times and when it is triggered', async () => {
  const made = await schedule('daily', { project: 'billing' });
  expect(made).toMatchObject({ status: 201, body: { project: 'billing' } });
  await fire(idOf(made));
  expect((await api.call('POST', '/api/v1/schedules/daily/trigger', { body: {} })).status).toBe(202);
  expect(await runsOf(`schedule:${idOf(made)}`)).toEqual([{ project: billing }, { project: billing }]);
  expect((await api.call('PATCH', '/api/v1/projects/billing', { body: { name: 'invoices' } })).status).toBe(200);
  expect((await api.call('GET', '/api/v1/schedules/daily')).body).toMatchObject({ project: 'invoices' });
  await api.call('PATCH', '/api/v1/projects/invoices', { body: { name: 'billing' } });
  expect((await patch('daily', { project: null })).body).toMatchObject({ project: null });
});

test('who makes or changes a schedule has to be allowed to start runs where it says', async () => {
  expect(await schedule('leads', { project: 'billing' }, lead)).toMatchObject({ status: 201 });
  for (const more of [{}, { project: 'other' }]) expect(await schedule('not', more, lead)).toMatchObject({ status: 403 });
  expect(await schedule('not', { project: 'nothing' })).toMatchObject({ status: 404 });
  expect(await schedule('not', { project: 'Not a name' })).toMatchObject({ status: 422 });
  expect(await patch('leads', { priority: 'high' }, lead)).toMatchObject({ status: 200, body: { project: 'billing', priority: 'high' } });
  for (const project of ['other', null]) expect(await patch('leads', { project }, lead)).toMatchObject({ status: 403 });
  expect(await schedule('elsewhere', { project: 'other' })).toMatchObject({ status: 201 });
  expect(await patch('elsewhere', { priority: 'high' }, lead)).toMatchObject({ status: 403 });
  // who may schedule and not start runs makes nobody else start them
  await api.call('PUT', '/api/v1/roles/planner', { body: { actions: ['schedule.create', 'schedule.update', 'schedule.read'] } });
  const planner = await aPerson(api, { role: 'planner' });
  for (const more of [{}, { project: 'billing' }]) expect(await schedule('not', more, planner)).toMatchObject({ status: 403 });
});

test('a time of a schedule in an archived project is refused and says so', async () => {
  await aProject('ending');
  const made = await schedule('last', { project: 'ending' });
  await archive('ending');
  await fire(idOf(made));
  const triggered = await api.call('POST', '/api/v1/schedules/last/trigger', { body: {} });
  expect(triggered).toMatchObject({ status: 202, body: { status: 'failed', runId: null, failure: { code: 'project_archived' } } });
  expect(await fires(idOf(made))).toMatchObject([0, 1].map(() => ({ status: 'failed', failure: { code: 'project_archived' } })));
  expect(await runsOf(`schedule:${idOf(made)}`)).toEqual([]);
  expect(await schedule('more', { project: 'ending' })).toMatchObject({ status: 409, body: { code: 'project_archived' } });
});

const secret = randomBytes(32).toString('base64');
const store = (name: string, triggers: object[], by?: Person) =>
  api.call('POST', '/api/v1/workflows', {
    ...(by && { key: by.key }),
    body: { definition: { ...definition, name, triggers } },
    headers: { 'idempotency-key': randomUUID() },
  });

test('runs that a delivery starts are in the project of the trigger, and in none once it is archived', async () => {
  await api.call('PUT', '/api/v1/secrets/signing', { body: { value: secret } });
  const hook = await api.call('PUT', '/api/v1/hooks/pay', {
    body: { event: { name: 'paid' }, secret: 'signing', scheme: 'standard-webhooks' },
  });
  const { links } = hook.body as { links: { deliver: string } };
  const deliver = () => {
    const body = '{}';
    const signed = signWebhook([{ id: '0', secret: Buffer.from(secret, 'base64') }], { id: randomUUID(), at: Date.now(), body });
    return api.call('POST', links.deliver, { key: null, raw: body, headers: { 'content-type': 'application/json', ...signed } });
  };
  const paying = await aProject('paying');
  expect(await store('paid', [{ webhook: 'pay', project: 'paying' }])).toMatchObject({ status: 201 });
  expect(await deliver()).toMatchObject({ status: 202, body: { runs: [{ workflow: 'paid', failure: null }] } });
  expect(await runsOf(`hook:${idOf(hook)}`)).toEqual([{ project: paying }]);
  await archive('paying');
  expect(await deliver()).toMatchObject({ body: { runs: [{ workflow: 'paid', runId: null, failure: { code: 'project_archived' } }] } });
  expect(await runsOf(`hook:${idOf(hook)}`)).toHaveLength(1);
  // the same triggers without the project
  await store('paid', [{ webhook: 'pay' }]);
  await deliver();
  expect(await runsOf(`hook:${idOf(hook)}`)).toEqual([{ project: paying }, { project: null }]);
});

test('who stores a definition has to be allowed to start runs where its triggers say', async () => {
  const developer = await aPerson(api, { role: 'developer' });
  for (const trigger of [{ webhook: 'pay' }, { cron: '@daily' }]) {
    expect(await store('placed', [{ ...trigger, project: 'billing' }], developer)).toMatchObject({ status: 201 });
    expect(await store('unplaced', [{ ...trigger, project: 'nothing' }])).toMatchObject({ status: 404 });
    expect(await store('archived', [{ ...trigger, project: 'ending' }])).toMatchObject({ status: 409, body: { code: 'project_archived' } });
    expect(await store('bad', [{ ...trigger, project: 'No Name' }])).toMatchObject({ status: 422 });
  }
  await api.call('PUT', '/api/v1/roles/storer', { body: { actions: ['workflow.store', 'schedule.create'] } });
  const storer = await aPerson(api, { role: 'storer' });
  expect(await store('mine', [{ cron: '@daily', project: 'billing' }], storer)).toMatchObject({ status: 403 });
  const [kept] = await sql(api.deps.engine, `select project from schedule where definition = 'placed' and deleted is null`);
  expect(kept).toEqual({ project: billing });
});
