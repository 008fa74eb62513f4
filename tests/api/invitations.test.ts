import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createInvitation } from '../../src/db/repositories/invitations.ts';
import { aStack, type TestStack } from '../support/aStack.ts';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson, type Person } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

const CHEAP = {
  TIU_TOKEN_KEYS: TOKEN_KEYS,
  TIU_PASSWORD_MEMORY: '8',
  TIU_PASSWORD_PASSES: '1',
  TIU_RATE_AUTH: '',
  TIU_MAX_INVITATIONS: '12',
};
const MEMBERS = '/api/v1/members';

let api: TestApi;
beforeAll(async () => {
  api = await anApi(CHEAP);
});
afterAll(() => api.stop());

type Made = { id: string; token: string; link: string };
const invite = (body: object, by?: Person) =>
  api.call('POST', '/api/v1/invitations', { ...(by && { key: by.key }), body, headers: { 'idempotency-key': randomUUID() } });
const made = async (body: object = { role: 'developer' }, by?: Person): Promise<Made> => (await invite(body, by)).body as Made;
const revoke = (id: string, key = api.owner.key) => api.call('DELETE', `/api/v1/invitations/${id}`, { key });
const someone = (more: object = {}) => ({
  name: `n_${randomBytes(4).toString('hex')}`,
  password: `quite a long ${randomBytes(4).toString('hex')}`,
  ...more,
});
const accept = (token: string, more: object = {}) =>
  api.call('POST', '/api/v1/invitations/accept', { key: null, body: { token, ...someone(more) } });
const join = (token: string, person: Person) => api.call('POST', '/api/v1/invitations/join', { key: person.key, body: { token } });

test('somebody new accepts an invitation: an account, a role, a role in a project and a session', async () => {
  const project = await api.call('POST', '/api/v1/projects', { body: { name: 'lab' }, headers: { 'idempotency-key': randomUUID() } });
  const { id, token, link } = await made({ role: 'viewer', projects: [{ project: 'lab', role: 'developer' }] });
  expect(link).toBe(`http://localhost:8080/invitation#token=${token}`);
  expect((await api.call('GET', '/api/v1/invitations')).text).not.toContain(token);
  const accepted = await accept(token, { name: 'Grace_1', email: 'Grace@Example.test', fullName: 'Grace H.' });
  expect(accepted).toMatchObject({ status: 201, body: { workspace: api.owner.workspace, role: 'viewer' } });
  const key = (accepted.body as { accessToken: string }).accessToken;
  expect((await api.call('GET', '/api/v1/auth/me', { key })).body).toMatchObject({
    ...{ name: 'Grace_1', email: 'Grace@example.test', emailVerified: false, fullName: 'Grace H.', role: 'viewer' },
  });
  const definition = { dsl: 'tiu/1', name: 'greet', tasks: { hello: { type: 'transform', with: { value: 1 } } } };
  const start = (more: object) => api.call('POST', '/api/v1/runs', { key, body: { definition, runId: randomUUID(), ...more } });
  expect(await start({})).toMatchObject({ status: 403 });
  expect(await start({ project: 'lab' })).toMatchObject({ status: 202, body: { projectId: (project.body as Made).id } });
  expect(await revoke(id)).toMatchObject({ status: 404 });
});

test('whatever is wrong with a token, the answer is the same; what else is wrong leaves it good', async () => {
  const used = await made();
  await accept(used.token);
  const revoked = await made();
  expect(await revoke(revoked.id)).toMatchObject({ status: 204 });
  const expired = await made();
  await api.deps.db.rows({
    name: 'past',
    text: `update one_time set expires = now() - interval '1 s' where kind = 'invitation' and data->>'id' = $1`,
    values: [expired.id],
  });
  const unknown = `tiui_${randomBytes(32).toString('base64url')}`;
  const tokens = [used.token, revoked.token, expired.token, unknown, 'tiui_x', 'x', `${used.token}x`];
  const person = await aPerson(api);
  for (const answer of [
    ...(await Promise.all(tokens.map((token) => accept(token)))),
    ...(await Promise.all(tokens.map((token) => join(token, person)))),
  ]) {
    const { requestId, ...body } = answer.body as { requestId: string };
    expect(requestId).toBeDefined();
    expect({ status: answer.status, body }).toEqual({
      status: 422,
      body: expect.objectContaining({ code: 'link_invalid', detail: 'The invitation cannot be accepted' }) as unknown,
    });
  }
  const good = await made();
  for (const [pointer, more] of [
    ['/name', { name: 'a b' }],
    ['/password', { password: 'short' }],
    ['/email', { email: 'nowhere' }],
  ] as const)
    expect(await accept(good.token, more)).toMatchObject({ status: 422, body: { code: 'invalid_request', issues: [{ pointer }] } });
  expect(await accept(good.token, { name: 'grace_1' })).toMatchObject({ status: 409, body: { code: 'name_taken' } });
  expect(await accept(good.token, { email: 'grace@example.test' })).toMatchObject({ status: 409, body: { code: 'email_taken' } });
  expect(await accept(good.token)).toMatchObject({ status: 201 });
});

test('who has an account joins with it, and keeps a role that is there', async () => {
  const stranger = await aPerson(api, { workspace: api.stranger.workspace, role: 'owner' });
  expect(await join((await made({ role: 'developer' })).token, stranger)).toMatchObject({
    status: 200,
    body: { workspace: api.owner.workspace, role: 'developer' },
  });
  expect(await join((await made({ role: 'admin' })).token, stranger)).toMatchObject({ status: 200, body: { role: 'developer' } });
  expect(await api.call('POST', '/api/v1/invitations/join', { body: { token: 'x' } })).toMatchObject({ status: 403 });
});

test('nobody invites to more than they have, and what they invited to ends when they leave or are lowered', async () => {
  const admin = await aPerson(api, { role: 'admin' });
  expect(await invite({ role: 'owner' }, admin)).toMatchObject({ status: 403 });
  expect(await invite({ role: 'viewer' }, await aPerson(api))).toMatchObject({ status: 403 });
  expect(await invite({ role: 'nothing' }, admin)).toMatchObject({ status: 422, body: { code: 'unknown_role' } });
  expect(await invite({ role: 'viewer', projects: [{ project: 'nowhere', role: 'viewer' }] }, admin)).toMatchObject({ status: 404 });
  expect(await invite({ role: 'viewer', projects: [{ project: 'lab', role: 'owner' }] }, admin)).toMatchObject({ status: 403 });
  const { token } = await made({ role: 'admin' }, admin);
  await api.call('PATCH', `${MEMBERS}/${admin.account}`, { body: { role: 'developer' } });
  expect(await accept(token)).toMatchObject({ status: 422, body: { code: 'link_invalid' } });
});

test('an invitation lasts as long as it may say, and there are so many of them', async () => {
  const ahead = (ms: number) => new Date(Date.now() + ms).toISOString();
  for (const expiresAt of [ahead(-1_000), ahead(30 * 86_400_000 + 60_000)])
    expect(await invite({ role: 'viewer', expiresAt })).toMatchObject({ status: 422, body: { issues: [{ pointer: '/expiresAt' }] } });
  const expiresAt = ahead(30 * 86_400_000 - 60_000);
  expect(await invite({ role: 'viewer', expiresAt })).toMatchObject({ status: 201, body: { expiresAt } });
  const open = async () => ((await api.call('GET', '/api/v1/invitations?limit=200')).body as { items: Made[] }).items;
  for (let n = (await open()).length; n < 12; n++) await made();
  expect(await invite({ role: 'viewer' })).toMatchObject({ status: 409, body: { code: 'quota_exceeded' } });
  for (const { id } of await open()) await revoke(id);
  const headers = { 'idempotency-key': randomUUID() };
  const once = await api.call('POST', '/api/v1/invitations', { body: { role: 'viewer' }, headers });
  const again = await api.call('POST', '/api/v1/invitations', { body: { role: 'viewer' }, headers });
  expect(again.body).toMatchObject({ id: (once.body as Made).id, token: null, link: null });
});

test('with mail the link goes to the address alone, which is proven by who comes with it', async () => {
  const sent: { to: string | null; text: string }[] = [];
  const { mail } = api.deps;
  api.deps.mail = { ...mail, check: () => undefined, post: (_, one) => Promise.resolve(void sent.push(one)) };
  const invitation = await made({ role: 'viewer', email: 'new@Example.test' });
  api.deps.mail = mail;
  expect(invitation).toMatchObject({ mailed: true, token: null, link: null });
  const token = /#token=(\S+)/.exec(sent[0]?.text ?? '')?.[1] ?? '';
  expect(sent).toMatchObject([{ to: 'new@example.test' }]);
  const accepted = await accept(token);
  const key = (accepted.body as { accessToken: string }).accessToken;
  expect((await api.call('GET', '/api/v1/auth/me', { key })).body).toMatchObject({ email: 'new@example.test', emailVerified: true });
});

test('of all who accept at once on two api processes one wins, 200 times', async () => {
  const stack: TestStack = await aStack({ apis: 2, workers: 0, env: { ...CHEAP, TIU_MAX_EVENT_LOOP_DELAY: '60000' } });
  try {
    const db = await stack.base.open();
    const token = async () =>
      (
        await createInvitation(db, {
          ...{
            workspace: stack.workspace,
            email: null,
            mailed: false,
            role: 'viewer',
            projects: [],
            by: 'test',
            now: Date.now(),
            ttlMs: 600_000,
          },
          max: 1_000,
        })
      )?.token ?? '';
    const post = async (url: string, path: string, body: object, key?: string) => {
      const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
      const response = await fetch(`${url}/api/v1/invitations/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
      return { status: response.status, body: (await response.json()) as { accessToken: string } };
    };
    const [one = '', two = ''] = stack.urls;
    const keys = await Promise.all(
      stack.urls.map(async (url) => (await post(url, 'accept', { token: await token(), ...someone() })).body.accessToken),
    );
    for (let round = 0; round < 200; round++) {
      const shared = await token();
      const answers = await Promise.all(
        round % 4 === 0
          ? [one, two].map((url) => post(url, 'accept', { token: shared, ...someone() }))
          : [one, two].map((url, i) => post(url, 'join', { token: shared }, keys[i])),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([round % 4 === 0 ? 201 : 200, 422]);
    }
    const [{ n } = { n: 0 }] = await db.rows<{ n: number }>({ name: 'n', text: 'select count(*)::int as n from account', values: [] });
    expect(n).toBe(52);
  } finally {
    await stack.stop();
  }
});
