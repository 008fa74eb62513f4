import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { grant } from '../auth/aPerson.ts';
import { aPerson, lastMail, PASSWORD, signedIn, someAccounts, type Accounts, type Person } from './aPerson.ts';

let api: Accounts;
beforeAll(async () => {
  api = await someAccounts({ TIU_REGISTRATION: 'open' });
});
afterAll(() => api.stop());

const ME = '/api/v1/users/me';
const SETTINGS = '/api/v1/settings/user';
const DEFAULTS = { notifications: { addressNamed: true }, preferred: { workspace: null }, locale: 'en', timeZone: 'UTC' };

async function somebody(): Promise<Person & { key: string }> {
  const person = await aPerson(api);
  return { ...person, key: (await signedIn(api, person)).accessToken };
}
const ask = (method: string, target: string, key: string, body?: object, headers: Record<string, string> = {}) =>
  api.call(method, target, { key, headers, ...(body && { body }) });

test('what one says of oneself is changed field by field, taken away with null, and guarded by its version', async () => {
  const person = await somebody();
  const first = await ask('GET', ME, person.key);
  expect(first).toMatchObject({
    status: 200,
    body: { id: person.id, name: person.name, email: person.email, fullName: null, bio: null, avatarUrl: null, preferences: {} },
  });
  const etag = first.headers.get('etag') ?? '';
  const change = (body: object, seen?: string) => ask('PATCH', ME, person.key, body, seen === undefined ? {} : { 'if-match': seen });
  const full = {
    fullName: 'Grace H.',
    bio: 'Writes\ncompilers',
    avatarUrl: 'https://example.test/g.png',
    preferences: { panes: [1, { a: null }] },
  };
  expect(await change(full, etag)).toMatchObject({ status: 200, body: full });
  expect(await change({ bio: 'late' }, etag)).toMatchObject({ status: 412, body: { code: 'precondition_failed' } });
  const cleared = await change({ bio: null, preferences: {} });
  expect(cleared.body).toMatchObject({ ...full, bio: null, preferences: {} });
  expect((await ask('GET', ME, person.key)).text).toBe(cleared.text);
  expect((await ask('GET', ME, person.key)).headers.get('etag')).toBe(cleared.headers.get('etag'));
});

test.each([
  ['PATCH', ME, (n: number) => ({ bio: `number ${n}` })],
  ['PUT', SETTINGS, () => ({ locale: 'de' })],
])('of those who change the same version at one instant one does: %s %s', async (method, target, body) => {
  const person = await somebody();
  const seen = (await ask('GET', target, person.key)).headers.get('etag') ?? '';
  const owner = await api.base.open('tiu_owner', 2);
  const held = await owner.pool.connect();
  await held.query('begin');
  await held.query('select from account where id = $1 for update', [person.id]);
  const answers = [0, 1, 2].map((n) => ask(method, target, person.key, body(n), { 'if-match': seen }));
  const waiting = `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  for (let n = 0; n < 3;) n = (await owner.pool.query<{ n: number }>(waiting)).rows[0]?.n ?? 0; // all have read the version
  await held.query('rollback');
  held.release();
  expect((await Promise.all(answers)).map(({ status }) => status).sort()).toEqual([200, 412, 412]);
});

test('each field has its edge', async () => {
  const { key } = await somebody();
  const fits = { fullName: 'x'.repeat(100), bio: 'y'.repeat(500), avatarUrl: `https://e.test/${'z'.repeat(485)}` };
  const overhead = Buffer.byteLength(JSON.stringify({ a: '' }));
  expect(await ask('PATCH', ME, key, { ...fits, preferences: { a: 'ü'.repeat((8_192 - overhead) / 2) } })).toMatchObject({
    status: 200,
    body: fits,
  });
  const wrong: [pointer: string, body: object][] = [
    ['/fullName', { fullName: 'x'.repeat(101) }],
    ['/fullName', { fullName: '' }],
    ['/bio', { bio: 'y'.repeat(501) }],
    ['/bio', { bio: 'a\0b' }],
    ['/avatarUrl', { avatarUrl: `https://e.test/${'z'.repeat(486)}` }],
    ['/avatarUrl', { avatarUrl: 'http://example.test/a.png' }],
    ['/avatarUrl', { avatarUrl: 'javascript:alert(1)' }],
    ['/avatarUrl', { avatarUrl: 'https://me:secret@example.test/' }],
    ['/avatarUrl', { avatarUrl: 'a.png' }],
    ['/preferences', { preferences: { a: 'x'.repeat(8_192 - overhead + 1) } }],
    ['/preferences', { preferences: [] }],
    ['/name', { bio: 'b', name: 'other' }],
    ['/email', { bio: 'b', email: 'a@b.test' }],
    ['', {}],
  ];
  for (const [pointer, body] of wrong)
    expect({ body, answer: await ask('PATCH', ME, key, body) }).toMatchObject({
      body,
      answer: { status: 422, body: { issues: [{ pointer }] } },
    });
});

test('the audit says which fields have changed and nothing that is in them', async () => {
  const person = await somebody();
  await ask('PATCH', ME, person.key, { fullName: 'Canary Name', preferences: { canary: 'Canary Text' } });
  const rows = await api.deps.engine.rows<{ data: object; text: string }>({
    name: 'audit',
    text: `select data, row_to_json(audit)::text as text from audit where subject = $1 and action = 'profile.changed'`,
    values: [`user:${person.id}`],
  });
  expect(rows.map(({ data }) => data)).toEqual([{ names: ['fullName', 'preferences'] }]);
  expect(rows[0]?.text).not.toMatch(/canary/i);
});

test('settings have defaults, are closed, and are set as a whole', async () => {
  const person = await somebody();
  const first = await ask('GET', SETTINGS, person.key);
  expect(first).toMatchObject({ status: 200, body: DEFAULTS });
  const set = (body: object, seen?: string) => ask('PUT', SETTINGS, person.key, body, seen === undefined ? {} : { 'if-match': seen });
  const wanted = { notifications: { addressNamed: false }, locale: 'de-AT', timeZone: 'Europe/Vienna' };
  expect((await set(wanted, first.headers.get('etag') ?? '')).body).toEqual({ ...DEFAULTS, ...wanted });
  expect(await set({}, first.headers.get('etag') ?? '')).toMatchObject({ status: 412 });
  expect((await ask('GET', SETTINGS, person.key)).body).toEqual({ ...DEFAULTS, ...wanted });
  expect((await set({ locale: 'fr' })).body).toEqual({ ...DEFAULTS, locale: 'fr' });
  const wrong: [pointer: string, body: object][] = [
    ['/locale', { locale: 'not a tag' }],
    ['/locale', { locale: 'qqq' }],
    ['/timeZone', { timeZone: 'Europe/Nowhere' }],
    ['/timeZone', { timeZone: '' }],
    ['/notifications/news', { notifications: { news: true } }],
    ['/notifications/addressNamed', { notifications: { addressNamed: 'no' } }],
    ['/preferred/workspace', { preferred: { workspace: 'mine' } }],
    ['/theme', { theme: 'dark' }],
  ];
  for (const [pointer, body] of wrong)
    expect({ body, answer: await set(body) }).toMatchObject({ body, answer: { status: 422, body: { issues: [{ pointer }] } } });
});

test('who does not want to hear that their address was named gets no mail of it, and nobody else is told', async () => {
  const [person, other] = [await somebody(), await somebody()];
  const named = () =>
    Promise.all([
      api.post('register', { name: `x${person.name}`, email: person.email, password: 'quite another long one' }),
      api.post('change-email', { email: person.email }, other.key),
    ]);
  const before = (await named()).map(({ status, text }) => ({ status, text }));
  expect(before.map(({ status }) => status)).toEqual([202, 202]);
  expect(await lastMail(api, person.email)).toBeDefined();
  const count = api.mailServer.mails.filter(({ to }) => to[0]?.toLowerCase() === person.email.toLowerCase()).length;
  expect(count).toBe(2);
  await ask('PUT', SETTINGS, person.key, { notifications: { addressNamed: false } });
  expect((await named()).map(({ status, text }) => ({ status, text }))).toEqual(before);
  await api.deps.mail.settled();
  expect(api.mailServer.mails.filter(({ to }) => to[0]?.toLowerCase() === person.email.toLowerCase())).toHaveLength(count);
  // how one signs in is told whatever is wanted
  await api.post('change-password', { currentPassword: PASSWORD, newPassword: 'velvet thunder canoe wick' }, person.key);
  expect(await lastMail(api, person.email)).toContain('was changed');
});

test('a new session acts where the person prefers to be, as long as they are a member there', async () => {
  const person = await somebody();
  const [one, two] = [api.owner.workspace, api.stranger.workspace];
  for (const workspace of [one, two]) await grant(api.deps.engine, { account: person.id, workspace, role: 'viewer' });
  const placeOf = async () =>
    ((await api.post('login', { identifier: person.name, password: PASSWORD })).body as { workspace: string }).workspace;
  for (const workspace of [two, one, two]) {
    await ask('PUT', SETTINGS, person.key, { preferred: { workspace } });
    expect(await placeOf()).toBe(workspace);
  }
  await api.deps.engine.rows({
    name: 'out',
    text: 'delete from membership where account = $1 and workspace = $2',
    values: [person.id, two],
  });
  expect(await placeOf()).toBe(one);
});
