import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { anApi, type TestApi } from './anApi.ts';
import { aPerson } from './aPerson.ts';
import { TOKEN_KEYS } from './auth/aPerson.ts';

let api: TestApi;
beforeAll(async () => {
  api = await anApi({
    ...{ TIU_TOKEN_KEYS: TOKEN_KEYS, TIU_PASSWORD_MEMORY: '8', TIU_PASSWORD_PASSES: '1', TIU_RATE_AUTH: '' },
    TIU_QUOTA_MEMBERS: '2',
  });
});
afterAll(() => api.stop());

const invite = () => api.call('POST', '/api/v1/invitations', { body: { role: 'viewer' }, headers: { 'idempotency-key': randomUUID() } });
const token = async () => ((await invite()).body as { token: string }).token;
const accept = (invited: string) => {
  const name = `n_${randomBytes(4).toString('hex')}`;
  const body = { token: invited, name, password: `quite a long ${randomBytes(4).toString('hex')}` };
  return api.call('POST', '/api/v1/invitations/accept', { key: null, body });
};
const join = (invited: string, key: string) => api.call('POST', '/api/v1/invitations/join', { key, body: { token: invited } });
const full = { status: 409, body: { code: 'quota_exceeded', detail: 'The workspace has 2 of 2 members' } };

test('a workspace has as many members as its quota says and not one more, whichever way they come', async () => {
  const tokens = await Promise.all(Array.from({ length: 5 }, token));
  const [one = '', two = '', three = '', four = ''] = tokens;
  const first = await accept(one);
  expect(first).toMatchObject({ status: 201, body: { workspace: api.owner.workspace } });
  expect((await invite()).status).toBe(201); // one of two
  expect((await accept(two)).status).toBe(201);
  expect(await invite()).toMatchObject(full);
  expect(await accept(three)).toMatchObject(full);
  const outside = await aPerson(api, { workspace: api.stranger.workspace });
  expect(await join(three, outside.key)).toMatchObject(full);
  // who is a member takes no more room
  expect(await join(four, (first.body as { accessToken: string }).accessToken)).toMatchObject({ status: 200, body: { role: 'viewer' } });
  // the token that found no room is good as soon as there is
  const [{ account } = { account: '' }] = ((await api.call('GET', '/api/v1/members')).body as { items: { account: string }[] }).items;
  await api.deps.engine.rows({ name: 'gone', text: 'delete from membership where account = $1', values: [account] });
  expect(await join(three, outside.key)).toMatchObject({ status: 200 });
});

test('of all who come at once as many get in as there is room for', async () => {
  await api.deps.engine.rows({ name: 'all', text: 'delete from membership where workspace = $1', values: [api.owner.workspace] });
  const tokens = await Promise.all(Array.from({ length: 8 }, token));
  const people = await Promise.all(tokens.map(() => aPerson(api, { workspace: api.stranger.workspace })));
  const answers = await Promise.all(tokens.map((invited, i) => join(invited, people[i]?.key ?? '')));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 409, 409, 409, 409, 409, 409]);
});
