import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aStoppedClock } from '../../support/aStoppedClock.ts';
import { grantReply, transport } from '../../../src/api/auth/cookies.ts';
import { issueTicket } from '../../../src/api/auth/socketTickets.ts';
import { aSocket } from '../../realtime/aSubscriber.ts';
import { anApi, type TestApi } from '../anApi.ts';
import { anAccount, grant, signIn, sql, TOKEN_KEYS } from './aPerson.ts';

let api: TestApi;
const clock = aStoppedClock();
beforeAll(async () => {
  const settings = { TIU_CORS_ORIGINS: 'https://console.example, https://other.example:8443', TIU_PUBLIC_URL: 'https://tiu.example/base' };
  api = await anApi({ TIU_TOKEN_KEYS: TOKEN_KEYS, ...settings }, { clock: clock.now });
});
afterAll(() => api.stop());

const SAME = { 'sec-fetch-site': 'same-origin' };
/** A person whose browser keeps the tokens, and its cookies. */
async function aBrowser(remember = false) {
  const account = await anAccount(api.deps.db, { [api.owner.workspace]: 'developer' });
  const opened = await signIn(api.deps, account, { remember });
  const reply = grantReply(opened, { transport: 'cookie', remember, config: api.deps.config });
  const set = (reply.headers?.['set-cookie'] ?? []) as string[];
  return { account, opened, reply, set, cookie: cookiesOf(set) };
}
const cookiesOf = (set: readonly string[]): string => set.map((one) => one.split(';')[0]).join('; ');
const ask = (method: string, path: string, headers: Record<string, string>, body?: object) =>
  api.call(method, `/api/v1${path}`, { key: null, headers, ...(body && { body }) });
const check = { definition: { dsl: 'tiu/1', name: 'x', tasks: { a: { type: 'transform', with: { value: 1 } } } } };

test('tokens of a browser are cookies that no script reads and no other host sets', async () => {
  const { reply, set, opened } = await aBrowser();
  expect(set).toEqual([
    `__Host-tiu_access=${opened.accessToken}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=900`,
    `__Host-tiu_refresh=${opened.refreshToken}; Path=/; Secure; HttpOnly; SameSite=Strict`,
  ]);
  expect(reply.body).toMatchObject({ accessToken: null, refreshToken: null, sessionId: opened.sessionId });
  expect((await aBrowser(true)).set[1]).toMatch(/; SameSite=Strict; Max-Age=7776000$/);
});

test('a client keeps its tokens itself unless it asks for cookies', async () => {
  const { opened } = await aBrowser();
  expect(grantReply(opened, { transport: transport.parse(undefined), remember: false, config: api.deps.config })).toEqual({
    status: 200,
    body: opened,
  });
  expect(transport.safeParse('header').success).toBe(false);
});

test('a browser reads with its cookies, and a header goes before them', async () => {
  const { cookie, account } = await aBrowser();
  expect((await ask('GET', '/auth/me', { cookie: `a=b; ${cookie}; c=d` })).body).toMatchObject({ id: account });
  expect((await ask('GET', '/auth/me', { cookie, authorization: 'Bearer x' })).status).toBe(401);
  expect((await ask('GET', '/runs', { cookie: `__Host-tiu_access=${api.owner.key}` })).status).toBe(401); // a key is no cookie
  expect((await ask('GET', '/runs', { cookie: 'tiu_access=x; __Host-tiu_access=' })).status).toBe(401);
});

test.each([
  ['the page itself', SAME, 200],
  ['a listed origin', { origin: 'https://console.example', 'sec-fetch-site': 'cross-site' }, 200],
  ['another listed one', { origin: 'https://other.example:8443' }, 200],
  ['the public address', { origin: 'https://tiu.example' }, 200],
  ['nobody knows where', {}, 403],
  ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }, 403],
  ['another host of the site', { origin: 'https://x.tiu.example', 'sec-fetch-site': 'same-site' }, 403],
  ['a listed host with another port', { origin: 'https://console.example:444' }, 403],
  ['a listed host in the open', { origin: 'http://console.example' }, 403],
  ['a page without an origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }, 403],
  ['the address bar', { 'sec-fetch-site': 'none' }, 403],
  ['no address', { origin: ':', 'sec-fetch-site': 'cross-site' }, 403],
])('with cookies something is done for %s', async (_, headers, status) => {
  const { cookie } = await aBrowser();
  const answer = await ask('POST', '/workflows/check', { cookie, ...headers }, check);
  expect(answer.status).toBe(status);
  if (status === 403) expect(answer.body).toMatchObject({ code: 'cross_site_request' });
});

test('an old browser says its origin alone, which is then compared with the host', async () => {
  const { cookie } = await aBrowser();
  expect((await ask('POST', '/workflows/check', { cookie, origin: api.url }, check)).status).toBe(200);
  expect((await ask('POST', '/workflows/check', { cookie, origin: api.url, 'sec-fetch-site': 'cross-site' }, check)).status).toBe(403);
});

test('who sends a header is not asked where it comes from', async () => {
  const { opened } = await aBrowser();
  const authorization = `Bearer ${opened.accessToken}`;
  const elsewhere = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  expect((await ask('POST', '/workflows/check', { authorization, ...elsewhere }, check)).status).toBe(200);
});

test('a browser refreshes by its cookie, from the page alone, and gets cookies', async () => {
  const { cookie, opened } = await aBrowser(true);
  expect((await ask('POST', '/auth/refresh', { cookie })).body).toMatchObject({ code: 'cross_site_request' });
  const answer = await ask('POST', '/auth/refresh', { cookie, ...SAME });
  expect(answer.body).toMatchObject({ accessToken: null, refreshToken: null, sessionId: opened.sessionId });
  const set = answer.headers.getSetCookie();
  expect(set).toEqual([
    expect.stringMatching(/^__Host-tiu_access=ey/),
    expect.stringMatching(/^__Host-tiu_refresh=tiur_.*Max-Age=7776000$/),
  ]);
  expect((await ask('GET', '/auth/me', { cookie: cookiesOf(set) })).status).toBe(200);
});

test('nobody is signed in from a page of another site', async () => {
  const { opened } = await aBrowser();
  const body = { refreshToken: opened.refreshToken };
  const elsewhere = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
  expect((await ask('POST', '/auth/refresh', elsewhere, body)).body).toMatchObject({ code: 'cross_site_request' });
  expect((await ask('POST', '/auth/refresh', {}, body)).status).toBe(200); // no browser
});

test('a browser that switches or leaves has its cookies changed', async () => {
  const { cookie, account } = await aBrowser();
  const { workspace } = api.stranger;
  await grant(api.deps.db, { account, workspace, role: 'viewer' });
  const switched = await ask('POST', '/auth/switch', { cookie, ...SAME }, { workspace });
  expect(switched.body).toMatchObject({ accessToken: null, workspace });
  const [access = '', ...more] = switched.headers.getSetCookie();
  expect(more).toEqual([]);
  const left = await ask('POST', '/auth/logout', { cookie: access.split(';')[0] ?? '', ...SAME });
  expect(left.status).toBe(204);
  expect(left.headers.getSetCookie()).toEqual([
    expect.stringMatching(/^__Host-tiu_access=; .*Max-Age=0/),
    expect.stringMatching(/^__Host-tiu_refresh=; .*Max-Age=0/),
  ]);
});

const came = async (token: string, query?: Record<string, string>): Promise<string> => {
  const socket = aSocket(api.url, token) as ReturnType<typeof aSocket> & NodeJS.EventEmitter;
  if (query) socket.io.opts.query = query;
  const failed = once(socket, 'connect_error').then(([error]) => (error as { data: { code: string } }).data.code);
  const how = await Promise.race([once(socket, 'connect').then(() => 'in'), failed]);
  socket.disconnect();
  return how;
};

test('a socket opens by a token or a ticket, in the handshake and not in the address', async () => {
  const { opened } = await aBrowser();
  const ticket = () => issueTicket(api.deps, opened.sessionId);
  expect(await came(opened.accessToken)).toBe('in');
  const once_ = await ticket();
  expect([await came(once_), await came(once_)]).toEqual(['in', 'unauthenticated']);
  const inQuery = await ticket();
  expect(await came('', { token: inQuery })).toBe('unauthenticated');
  expect(await came(inQuery)).toBe('in');
  const ended = await ticket();
  await sql(api.deps.db, 'update session set ended = now() where id = $1', [opened.sessionId]);
  api.deps.authenticate.forget(`session:${opened.sessionId}`);
  expect(await came(ended)).toBe('unauthenticated');
});

test('a ticket waits half a minute, and is then gone', async () => {
  const { opened } = await aBrowser();
  const [early, late] = [await issueTicket(api.deps, opened.sessionId), await issueTicket(api.deps, opened.sessionId)];
  clock.ahead = 29_999;
  expect(await came(early)).toBe('in');
  clock.ahead = 30_001;
  expect(await came(late)).toBe('unauthenticated');
  await issueTicket(api.deps, opened.sessionId);
  expect(await sql(api.deps.db, 'select count(*)::int as n from socket_ticket')).toEqual([{ n: 1 }]);
});
