import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { OrmDatabase } from '../../src/db/database.ts';
import { createApiKey } from '../../src/db/repositories/apiKeys.ts';
import { expireEvents } from '../../src/db/events.ts';
import { HOOK_LIMITS } from '../../src/domain/hook/hook.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { signWebhook } from '../../src/providers/webhook/signWebhook.ts';
import { anApi, type Options, type TestApi } from './anApi.ts';

let api: TestApi;
let owner: OrmDatabase;
const now = Date.UTC(2026, 10, 29, 8);
let clock: () => number;
beforeAll(async () => {
  api = await anApi({ TIU_SECRET_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`, TIU_MAX_HOOKS: '3', TIU_MAX_DELIVERY: '2000' });
  owner = await api.base.open('tiu_owner', 1);
  ({ clock } = api.deps);
  api.deps.clock = () => now;
});
afterAll(() => api.stop());
afterEach(async () => {
  for (const table of ['hook', 'secret', 'secret_past', 'event', 'hook_trigger']) await sql(`delete from ${table}`);
  await owner.pool.query('delete from audit');
});
const sql = async <R extends object = JsonObject>(text: string, ...values: unknown[]) =>
  (await api.deps.db.pool.query<R>(text, values)).rows;
const aSecret = () => randomBytes(32).toString('base64');
const setSecret = (value: string, name = 'signing') => api.call('PUT', `/api/v1/secrets/${name}`, { body: { value } });
type Hook = { id: string; links: { deliver: string }; [field: string]: unknown };
const put = (more: object = {}, options: Options = {}, name = 'pay') =>
  api.call('PUT', `/api/v1/hooks/${name}`, {
    body: { event: { name: 'paid', key: '${payload.order}' }, secret: 'signing', scheme: 'standard-webhooks', ...more },
    ...options,
  });
async function aHook(more: object = {}, value = aSecret()): Promise<{ hook: Hook; value: string }> {
  await setSecret(value);
  const made = await put(more);
  expect(made.status).toBe(200);
  return { hook: made.body as Hook, value };
}
const PAYLOAD = { order: 'A17', amount: 5 };
type Sending = { body?: string; value: string | string[]; id?: string; at?: number; headers?: Record<string, string> };
function signed({ body = JSON.stringify(PAYLOAD), value, id = randomUUID(), at = now, headers = {} }: Sending): Options {
  const keys = [value].flat().map((secret, i) => ({ id: String(i), secret: Buffer.from(secret, 'base64') }));
  return { key: null, raw: body, headers: { 'content-type': 'application/json', ...signWebhook(keys, { id, at, body }), ...headers } };
}
const post = (hook: Hook, options: Options) => api.call('POST', hook.links.deliver, options);
const events = () =>
  sql<{ id: string; name: string; key: string; payload: unknown }>('select id, name, key, payload, sent_by from event order by at, id');
const counted = async () =>
  Object.fromEntries((await api.deps.metrics.deliveries.get()).values.map(({ labels, value }) => [String(labels.result), value]));

test('a signed delivery becomes an event, without an API key', async () => {
  const { hook, value } = await aHook();
  const answer = await post(hook, signed({ value, id: 'msg_1' }));
  expect(answer).toMatchObject({ status: 202, body: { id: 'hook:pay/msg_1', event: { name: 'paid', key: 'A17' }, runs: [] } });
  expect(await events()).toEqual([{ id: 'hook:pay/msg_1', name: 'paid', key: 'A17', payload: PAYLOAD, sent_by: `hook:${hook.id}` }]);
});

test('what Stripe sends, signed anew when it is tried again, is one event', async () => {
  const { hook, value } = await aHook({ scheme: 'stripe', event: { name: 'paid', key: '${payload.id}' } }, 'whsec_of_an_endpoint');
  const body = '{"id":"evt_1","type":"payment_intent.succeeded"}';
  const deliver = (at: number, secret = value) => {
    const mac = createHmac('sha256', secret)
      .update(`${at / 1_000}.${body}`)
      .digest('hex');
    const headers = { 'content-type': 'application/json', 'stripe-signature': `t=${at / 1_000},v1=${mac},v0=${mac}` };
    return post(hook, { key: null, raw: body, headers });
  };
  expect(await deliver(now)).toMatchObject({ status: 202, body: { id: 'hook:pay/evt_1', event: { name: 'paid', key: 'evt_1' } } });
  expect((await deliver(now + 60_000)).status).toBe(202);
  expect(await events()).toHaveLength(1);
  expect(await deliver(now, 'whsec_other')).toMatchObject({ status: 401, body: { code: 'delivery_refused' } });
  expect(await deliver(now - 301_000)).toMatchObject({ status: 401, body: { code: 'delivery_refused' } });
});

test('the same delivery counts once and has the same answer, however often and however many at once', async () => {
  const { hook, value } = await aHook();
  const answers = await Promise.all(Array.from({ length: 5 }, () => post(hook, signed({ value, id: 'again' }))));
  // sent again later, it is signed anew
  answers.push(await post(hook, signed({ value, id: 'again', at: now + 60_000 })));
  expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
  expect(await events()).toHaveLength(1);
  expect(await post(hook, signed({ value, id: 'again', body: '{"order":"B"}' }))).toMatchObject({
    status: 422,
    body: { code: 'idempotency_mismatch' },
  });
  expect(await sql(`select from audit where action = 'event.send'`)).toHaveLength(1);
});

test('what was taken from a hook is remembered for its whole time', async () => {
  const { hook, value } = await aHook();
  await post(hook, signed({ value, id: 'old' }));
  await api.call('POST', '/api/v1/events', { body: { name: 'paid', id: 'other' } });
  await sql(`update event set taken = now() - interval '2 days'`);
  await expireEvents(api.deps.db);
  expect((await events()).map(({ id }) => id)).toEqual(['hook:pay/old']);
  expect(await post(hook, signed({ value, id: 'old' }))).toMatchObject({ status: 202 });
  expect(await events()).toHaveLength(1);
});

test('wrong address, signature, time and scheme, and a secret that is gone: the same 401 to the byte, and nothing is kept', async () => {
  const { hook, value } = await aHook();
  const other = { ...hook, links: { deliver: `/api/v1/hooks/${randomUUID()}/pay` } };
  const before = await counted();
  const headers = { 'x-request-id': 'the-same' };
  const refused = [
    await post(hook, signed({ value: aSecret(), headers })),
    await post(other, signed({ value, headers })),
    await post({ ...hook, links: { deliver: `/api/v1/hooks/${hook.id}/other` } }, signed({ value, headers })),
    await post({ ...hook, links: { deliver: '/api/v1/hooks/none/pay' } }, signed({ value, headers })),
    await post(hook, signed({ value, at: now - 301_000, headers })),
    await post(hook, signed({ value, body: 'no JSON', headers: { ...headers, 'webhook-signature': 'v1,AAAA' } })),
    await post(hook, { key: null, raw: '{}', headers: { ...headers, 'content-type': 'application/json' } }),
    await post(hook, { key: null, raw: '', headers: { ...headers, 'content-type': 'application/json' } }),
    await post(hook, {
      ...{ key: null, raw: '{}' },
      headers: {
        ...headers,
        'content-type': 'application/json',
        'x-hub-signature-256': `sha256=${createHmac('sha256', value).update('{}').digest('hex')}`,
      },
    }),
  ];
  await api.call('DELETE', '/api/v1/secrets/signing');
  refused.push(await post(hook, signed({ value, headers })));
  const shown = refused.map(({ status, text, headers: given }) => {
    // how many deliveries of the network are left goes down with each, whatever it is
    const fields = [...given].filter(([name]) => !['date', 'connection', 'keep-alive', 'ratelimit'].includes(name));
    return JSON.stringify([status, text, fields]);
  });
  expect(new Set(shown).size).toBe(1);
  expect(refused[0]).toMatchObject({ status: 401, body: { code: 'delivery_refused' } });
  expect(await events()).toEqual([]);
  expect(await sql(`select from audit where action not like 'secret.%' and action not like 'hook.%'`)).toEqual([]);
  const after = await counted();
  const more = Object.fromEntries(Object.entries(after).map(([result, n]) => [result, n - (before[result] ?? 0)]));
  expect(more).toMatchObject({ signature: 2, unknown: 3, timestamp: 1, headers: 3, no_secret: 1 });
});

test('a delivery that nobody signed costs as many statements as one to a hook that is there', async () => {
  const { hook, value } = await aHook();
  const asked = await statementsOf(async () => {
    await post(hook, signed({ value: aSecret() }));
    await post({ ...hook, links: { deliver: `/api/v1/hooks/${randomUUID()}/pay` } }, signed({ value }));
  });
  expect(asked).toEqual(['hook_receiving', 'hook_receiving']);
});

async function statementsOf(act: () => Promise<unknown>): Promise<string[]> {
  const { rows } = api.deps.db;
  const asked: string[] = [];
  api.deps.db.rows = (statement) => {
    asked.push(statement.name);
    return rows(statement);
  };
  await act().finally(() => (api.deps.db.rows = rows));
  return asked.filter((name) => name !== 'key_touch'); // of whoever has not asked for a second
}

test('an event, whoever sends it, costs three statements', async () => {
  const send = () => api.call('POST', '/api/v1/events', { body: { name: 'paid', payload: 1 } });
  expect(await statementsOf(send)).toEqual(['event_schemas', 'store_event', 'give_event']);
});

test('one of several signatures is enough', async () => {
  const { hook, value } = await aHook();
  expect(await post(hook, signed({ value: [aSecret(), value, aSecret()] }))).toMatchObject({ status: 202 });
});

test('while a secret is rotated, its former values count too, until their time is over or the secret is deleted', async () => {
  const { hook, value: first } = await aHook();
  const [second, third] = [aSecret(), aSecret()];
  await setSecret(second);
  await setSecret(second); // the answer was lost: set again
  for (const value of [first, second]) expect(await post(hook, signed({ value }))).toMatchObject({ status: 202 });
  expect(await post(hook, signed({ value: third }))).toMatchObject({ status: 401 });
  await sql(`update secret_past set until = now() where version = 1`);
  expect(await post(hook, signed({ value: first }))).toMatchObject({ status: 401 });
  await expireEvents(api.deps.db);
  expect(await sql('select version from secret_past')).toEqual([{ version: 2 }]);
  await api.call('DELETE', '/api/v1/secrets/signing');
  await setSecret(third);
  expect(await post(hook, signed({ value: second }))).toMatchObject({ status: 401 });
  expect(await post(hook, signed({ value: third }))).toMatchObject({ status: 202 });
});

test('former values are kept of secrets alone that a hook names, and never more than count', async () => {
  await aHook();
  await setSecret(aSecret(), 'other');
  await setSecret(aSecret(), 'other');
  expect(await sql('select from secret_past')).toEqual([]);
  for (let i = 0; i < HOOK_LIMITS.pastSecrets + 2; i++) await setSecret(aSecret());
  expect(await sql('select from secret_past')).toHaveLength(HOOK_LIMITS.pastSecrets);
});

test('GitHub: the body is what counts once', async () => {
  const value = 'It is a secret to everybody';
  const { hook } = await aHook({ scheme: 'github', event: { name: 'push', key: '${payload.ref}' } }, value);
  const body = '{"ref": "refs/heads/main"}';
  const send = (delivery: string, text = body) =>
    post(hook, {
      ...{ key: null, raw: text },
      headers: {
        ...{ 'content-type': 'application/json', 'x-github-delivery': delivery, 'x-github-event': 'push' },
        'x-hub-signature-256': `sha256=${createHmac('sha256', value).update(text).digest('hex')}`,
      },
    });
  const first = await send('one');
  expect(first).toMatchObject({ status: 202, body: { event: { name: 'push', key: 'refs/heads/main' } } });
  expect((await send('two')).text).toBe(first.text);
  await send('three', '{"ref": "refs/heads/next"}');
  expect(await events()).toHaveLength(2);
});

test('who waits with a schema is heard, and a delivery that was taken once is taken again', async () => {
  const { hook, value } = await aHook();
  expect(await post(hook, signed({ value, id: 'before' }))).toMatchObject({ status: 202 });
  const schema = JSON.stringify({ type: 'object', required: ['currency'] });
  await sql(
    `insert into wait (run, task, item, generation, kind, workspace, since, data, event_name, event_key)
      values (gen_random_uuid(), 0, -1, 0, 'event', $1, now(), json_build_object('schema', $2::json), 'paid', 'A17')`,
    api.owner.workspace,
    schema,
  );
  expect(await post(hook, signed({ value, id: 'after' }))).toMatchObject({
    status: 422,
    body: { code: 'event_mismatch', issues: [{ pointer: '/payload' }] },
  });
  expect(await post(hook, signed({ value, id: 'before' }))).toMatchObject({ status: 202 });
  expect(await events()).toHaveLength(1);
  await sql('delete from wait');
});

test.each([
  ['no JSON', 'hello', 400, 'malformed_body'],
  ['a number that would be rounded', '{"order": 12345678901234567890}', 422, 'number_out_of_range'],
  ['no key for the event', '{"order": {}}', 422, 'event_mismatch'],
  ['a payload without what the key names', '{}', 422, 'event_mismatch'],
  ['a key that is too long', `{"order": "${'x'.repeat(257)}"}`, 422, 'event_mismatch'],
])('signed, and still refused: %s', async (_, body, status, code) => {
  const { hook, value } = await aHook();
  const answer = await post(hook, signed({ value, body }));
  expect(answer.body).toMatchObject({ status, code });
  expect(await events()).toEqual([]);
});

test('at its bound a body is taken, one byte more is not; nor is another media type', async () => {
  const { hook, value } = await aHook({ event: { name: 'paid' } });
  const body = JSON.stringify('x'.repeat(1_998));
  expect(await post(hook, signed({ value, body }))).toMatchObject({ status: 202 });
  expect(await post(hook, signed({ value, body: `${body} ` }))).toMatchObject({ status: 413 });
  expect(await post(hook, signed({ value, headers: { 'content-type': 'text/plain' } }))).toMatchObject({ status: 415 });
});

test('the tolerance is that of the hook', async () => {
  const { hook, value } = await aHook({ toleranceSeconds: 10 });
  expect(await post(hook, signed({ value, at: now - 10_000 }))).toMatchObject({ status: 202 });
  expect(await post(hook, signed({ value, at: now - 11_000 }))).toMatchObject({ status: 401 });
});

test('hooks are made, changed, listed, shown and deleted, each change with its audit row', async () => {
  const { hook } = await aHook();
  expect(hook).toMatchObject({ name: 'pay', event: { name: 'paid', key: '${payload.order}' }, secret: 'signing', toleranceSeconds: 300 });
  const changed = (await put({ event: { name: 'paid.late' }, toleranceSeconds: 60 })).body as Hook;
  expect(changed).toMatchObject({ id: hook.id, event: { name: 'paid.late', key: '' }, toleranceSeconds: 60, createdAt: hook.createdAt });
  await put({}, {}, 'b');
  const page = (await api.call('GET', '/api/v1/hooks?limit=1')).body as { items: Hook[]; nextCursor: string };
  expect(page.items.map(({ name }) => name)).toEqual(['b']);
  const next = (await api.call('GET', `/api/v1/hooks?cursor=${page.nextCursor}`)).body as { items: Hook[] };
  expect(next.items.map(({ name }) => name)).toEqual(['pay']);
  expect((await api.call('GET', '/api/v1/hooks/pay')).body).toEqual(changed);
  expect((await api.call('DELETE', '/api/v1/hooks/pay')).status).toBe(204);
  expect((await api.call('GET', '/api/v1/hooks/pay')).status).toBe(404);
  expect((await api.call('DELETE', '/api/v1/hooks/pay')).status).toBe(404);
  const audit = await sql<{ action: string; subject: string }>(
    `select action, subject, data from audit where action like 'hook.%' order by at, id`,
  );
  expect(audit.map(({ action, subject }) => `${action} ${subject}`)).toEqual(['hook.set hook:pay', 'hook.set hook:pay', 'hook.set hook:b', 'hook.delete hook:pay']); // prettier-ignore
  expect(audit[1]).toMatchObject({
    data: { id: hook.id, event: 'paid.late', secret: 'signing', scheme: 'standard-webhooks', tolerance: 60 },
  });
});

test.each<[string, object, string, string]>([
  ['a secret that is not there', { secret: 'none' }, '/secret', 'unknown_secret'],
  ['a secret that is none of its scheme', { secret: 'text' }, '/secret', 'invalid_value'],
  ['an expression that cannot be read', { event: { name: 'paid', key: '${payload.}' } }, '/event/key', 'expression_syntax'],
  ['an expression about something else', { event: { name: 'paid', key: '${input.order}' } }, '/event/key', 'unknown_name'],
  ['a secret in an expression', { event: { name: 'paid', key: '${secrets.signing}' } }, '/event/key', 'secret_not_allowed'],
  ['an event without a name', { event: {} }, '/event/name', 'invalid_type'],
  ['a scheme that is none', { scheme: 'shopify' }, '/scheme', 'invalid_value'],
  ['no tolerance', { toleranceSeconds: 0 }, '/toleranceSeconds', 'too_small'],
  ['too much of it', { toleranceSeconds: 3_601 }, '/toleranceSeconds', 'too_big'],
  ['a key it does not know', { extra: 1 }, '/extra', 'unknown_key'],
])('a hook is refused at its place: %s', async (_, more, pointer, code) => {
  await setSecret(aSecret());
  await setSecret('a secret that is only text', 'text');
  const answer = await put(more);
  expect(answer.body).toMatchObject({ status: 422, code: 'invalid_request', issues: [{ pointer, code }] });
  expect(answer.text).not.toContain('only text');
});

test('at their bounds hooks are taken, and a workspace has as many as it may', async () => {
  await setSecret(aSecret());
  for (const [name, toleranceSeconds] of [
    ['a', 1],
    ['b', 3_600],
    ['c', 300],
  ] as const)
    // prettier-ignore
    expect((await put({ toleranceSeconds }, {}, name)).status).toBe(200);
  expect((await put({}, {}, 'd')).body).toMatchObject({ status: 409, code: 'too_many_hooks' });
  expect((await put({}, {}, 'c')).status).toBe(200);
});

test('hooks are those of a workspace and need its scopes', async () => {
  const { hook } = await aHook();
  const { key } = api.stranger;
  expect((await api.call('GET', '/api/v1/hooks', { key })).body).toMatchObject({ items: [] });
  expect((await api.call('GET', '/api/v1/hooks/pay', { key })).status).toBe(404);
  expect((await api.call('DELETE', '/api/v1/hooks/pay', { key })).status).toBe(404);
  expect((await put({}, { key })).body).toMatchObject({ issues: [{ code: 'unknown_secret' }] });
  const weak = await createApiKey(api.deps.db, { workspace: api.owner.workspace, name: 'weak', by: 'test', scopes: ['runs:read'] });
  expect((await api.call('GET', '/api/v1/hooks/pay', { key: weak.key })).body).toMatchObject({ id: hook.id });
  expect((await put({}, { key: weak.key })).body).toMatchObject({ code: 'forbidden' });
  expect((await api.call('DELETE', '/api/v1/hooks/pay', { key: weak.key })).body).toMatchObject({ code: 'forbidden' });
  for (const path of ['/api/v1/hooks', '/api/v1/hooks/pay']) expect((await api.call('GET', path, { key: null })).status).toBe(401);
});

const stored = (triggers: object[], name = 'charge') =>
  api.call('POST', '/api/v1/workflows', {
    body: {
      ...{ dsl: 'tiu/1', name, triggers },
      input: { schema: { type: 'object', required: ['order'], properties: { order: { type: 'string' } } } },
      tasks: { a: { type: 'transform', with: { value: '${input.order}' } } },
    },
  });
type Started = { runs: { workflow: string; runId: string | null; failure: { code: string } | null }[] };

test('a trigger of a stored definition starts a run for each delivery, once', async () => {
  const { hook, value } = await aHook();
  expect((await stored([{ webhook: 'pay', input: { order: '${payload.order}' } }])).status).toBe(201);
  const [one, two] = await Promise.all([post(hook, signed({ value, id: '1' })), post(hook, signed({ value, id: '1' }))]);
  expect(one.text).toBe(two.text);
  const [run] = (one.body as Started).runs;
  expect(run).toMatchObject({ workflow: 'charge', failure: null });
  expect((await api.call('GET', `/api/v1/runs/${run?.runId ?? ''}`)).body).toMatchObject({
    workflow: { name: 'charge' },
    createdBy: `hook:${hook.id}`,
  });
  await post(hook, signed({ value, id: '2' }));
  expect((await api.call('GET', '/api/v1/runs?workflow=charge')).body).toMatchObject({ items: [{}, {}] });
  const [input] = await sql('select input from run where id = $1', run?.runId);
  expect(input).toEqual({ input: { order: 'A17' } });
  api.deps.clock = () => clock() + HOOK_LIMITS.triggerMs + 60_000;
  const late = await post(hook, signed({ value, id: '1', at: api.deps.clock() }));
  api.deps.clock = () => now;
  expect(late).toMatchObject({ status: 202, body: { runs: [] } });
});

test('an input that does not fit is told, and keeps no other from its run; without input the payload is it', async () => {
  const { hook, value } = await aHook();
  await stored([{ webhook: 'pay' }], 'fits');
  await stored([{ webhook: 'pay', input: { order: 5 } }, { webhook: 'other' }], 'misfits');
  const { runs } = (await post(hook, signed({ value }))).body as Started;
  expect(runs).toMatchObject([
    { workflow: 'fits', failure: null },
    { workflow: 'misfits', runId: null, failure: { code: 'invalid_run_input' } },
  ]);
});

test('the newest version of a definition says which hooks start it', async () => {
  const { hook, value } = await aHook();
  await stored([{ webhook: 'pay' }, { cron: '@daily', input: { order: 'x' }, name: 'nightly' }], 'moved');
  await stored([{ cron: '@daily', input: { order: 'x' }, name: 'nightly' }], 'moved');
  expect((await post(hook, signed({ value }))).body).toMatchObject({ runs: [] });
  expect((await api.call('GET', '/api/v1/schedules?workflow=moved')).body).toMatchObject({ items: [{ name: 'moved.nightly' }] });
  expect(await sql(`select subject from audit where action = 'hook.triggers'`)).toHaveLength(2);
});

test.each<[string, object, string]>([
  ['times beside a hook', { webhook: 'pay', cron: '@daily' }, 'not_applicable /triggers/0/cron'],
  ['a hook that cannot be one', { webhook: 'Pay' }, 'invalid_value /triggers/0/webhook'],
  ['an input that cannot be read', { webhook: 'pay', input: { order: '${payload.}' } }, 'expression_syntax /triggers/0/input/order'],
  ['neither', { name: 'x' }, 'missing_key /triggers/0'],
])('a trigger is refused at its place: %s', async (_, trigger, wanted) => {
  const { body } = await stored([trigger], 'refused');
  const { issues } = body as { issues: { code: string; pointer: string }[] };
  expect(issues.map(({ code, pointer }) => `${code} ${pointer}`)).toEqual([wanted]);
});

test('a hook starts as many workflows as it may', async () => {
  const of = (count: number) => Array.from({ length: count }, () => ({ webhook: 'many' }));
  for (const name of ['m1', 'm2']) expect((await stored(of(20), name)).status).toBe(201);
  expect((await stored(of(10), 'm3')).status).toBe(201);
  expect((await stored(of(1), 'm4')).body).toMatchObject({ status: 409, code: 'too_many_triggers' });
  expect((await stored(of(10), 'm3')).status).toBe(200);
});
