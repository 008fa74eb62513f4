import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey } from '../../src/dev/keptIn.ts';
import { anIssuer, type TestIssuer } from '../support/anIssuer.ts';
import { aPerson } from './aPerson.ts';
import { anApi, type TestApi } from './anApi.ts';

const PUBLIC = 'https://tiu.example';
const callback = (provider: string) => `${PUBLIC}/api/v1/auth/oauth/${provider}/callback`;

let api: TestApi;
let issuer: TestIssuer;
beforeAll(async () => {
  const people = Object.fromEntries(['ada', 'bea', 'eve', 'mallory'].map((name) => [name, { name, preferred_username: name }]));
  issuer = await anIssuer(people, [callback('open'), callback('closed')]);
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'tiu-browser-')), 'providers.json');
  const { issuer: address, clientId, clientSecret } = issuer;
  const at = (id: string, more: object = {}) => ({
    id,
    type: 'oidc',
    title: id,
    issuer: address,
    clientId,
    clientSecret,
    insecure: true,
    ...more,
  });
  fs.writeFileSync(file, JSON.stringify([at('open', { createAccounts: true }), at('closed')]));
  api = await anApi({
    ...{ TIU_SIGN_IN_FILE: file, TIU_TOKEN_KEYS: newKey(), TIU_HTTP_ALLOW: '127.0.0.0/8', TIU_PUBLIC_URL: PUBLIC, TIU_RATE_AUTH: '' },
  });
  fs.rmSync(path.dirname(file), { recursive: true });
});
afterAll(async () => {
  await Promise.all([api.stop(), issuer.close()]);
});

type Begun = { authorizationUrl: string; secret: null };
const begin = (body: object, provider = 'open') => api.call('POST', `/api/v1/auth/sign-in/${provider}`, { key: null, body });
const cookiesOf = (headers: Headers) => new Map(headers.getSetCookie().map((line) => [line.slice(0, line.indexOf('=')), line]));
/** The pair of a cookie, as a browser sends it back. */
const pairOf = (headers: Headers, name: string) => (cookiesOf(headers).get(name) ?? '').split(';')[0] ?? '';

/** Begins, goes to the provider as somebody, and is on the way back. */
async function onTheWay(who: string, body: object = { returnTo: '/console?tab=runs#end' }, provider = 'open') {
  const begun = await begin(body, provider);
  expect(begun.status).toBe(200);
  const answer = await issuer.visit((begun.body as Begun).authorizationUrl, who);
  return {
    begun,
    cookie: pairOf(begun.headers, '__Host-tiu_sign_in'),
    target: `/api/v1/auth/oauth/${provider}/callback?${answer.toString()}`,
  };
}
/** What a browser does with the redirect of the provider: its cookies come along, as the navigation is of the top level. */
const land = (target: string, cookie: string) =>
  fetch(api.url + target, { redirect: 'manual', headers: { ...(cookie !== '' && { cookie }), 'sec-fetch-site': 'cross-site' } });

test('a browser begins, comes back from the provider with its cookie, and is signed in where it wanted to go', async () => {
  const { begun, cookie, target } = await onTheWay('ada');
  expect(begun.body).toMatchObject({ secret: null });
  expect(cookiesOf(begun.headers).get('__Host-tiu_sign_in')).toMatch(
    /^__Host-tiu_sign_in=[\w-]{43}\.[\w-]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=(5\d\d|600)$/,
  );
  const landed = await land(target, cookie);
  expect([landed.status, landed.headers.get('location'), await landed.text()]).toEqual([303, `${PUBLIC}/console?tab=runs#end`, '']);
  expect([...cookiesOf(landed.headers).keys()]).toEqual(['__Host-tiu_sign_in', '__Host-tiu_access', '__Host-tiu_refresh']);
  expect(cookiesOf(landed.headers).get('__Host-tiu_sign_in')).toMatch(/^__Host-tiu_sign_in=; .*Max-Age=0$/);
  const me = await api.call('GET', '/api/v1/auth/me', { key: null, headers: { cookie: pairOf(landed.headers, '__Host-tiu_access') } });
  expect(me.body).toMatchObject({ name: 'ada' });
  // the same once more is refused, and signs nobody in
  const again = await land(target, cookie);
  expect([again.status, again.headers.get('location')]).toEqual([303, `${PUBLIC}/console?tab=runs&error=sign_in_refused#end`]);
  expect([...cookiesOf(again.headers).keys()]).toEqual(['__Host-tiu_sign_in']);
});

test('nobody is signed in by the answer that somebody else has asked for', async () => {
  const theirs = await onTheWay('mallory');
  const [none, mine] = [await land(theirs.target, ''), await land(theirs.target, (await onTheWay('eve')).cookie)];
  expect([none.status, none.headers.get('location')]).toEqual([401, null]);
  expect(await none.json()).toMatchObject({ code: 'sign_in_refused' });
  expect(mine.headers.get('location')).toContain('error=sign_in_refused');
  for (const answer of [none, mine]) expect(answer.headers.getSetCookie().join()).not.toContain('__Host-tiu_access');
});

test('what goes wrong is the error of the path: at the provider, and here', async () => {
  const closed = await onTheWay('bea', { returnTo: '/' }, 'closed');
  expect((await land(closed.target, closed.cookie)).headers.get('location')).toBe(`${PUBLIC}/?error=registration_closed`);
  const refused = await onTheWay('bea');
  const state = new URL(refused.target, PUBLIC).searchParams.get('state') ?? '';
  const landed = await land(`/api/v1/auth/oauth/open/callback?error=access_denied&state=${state}&iss=${issuer.issuer}`, refused.cookie);
  expect(landed.headers.get('location')).toBe(`${PUBLIC}/console?tab=runs&error=sign_in_refused#end`);
  const other = await onTheWay('bea');
  expect((await land(other.target.replace('/open/', '/closed/'), other.cookie)).headers.get('location')).toContain('error=sign_in_refused');
});

test.each(['//evil.example', '/\\evil.example', 'https://evil.example/', '/a\r\nset-cookie: x=y', 'console', '/.//evil.example'])(
  'a browser is sent on within this origin alone: %j is refused',
  async (returnTo) => {
    const refused = await begin({ returnTo });
    expect(refused.body).toMatchObject({ code: 'invalid_request', issues: [{ pointer: '/returnTo' }] });
    expect(refused.headers.getSetCookie()).toEqual([]);
  },
);

test('a cookie that says otherwise sends nobody elsewhere', async () => {
  const { cookie, target } = await onTheWay('ada');
  const [secret] = cookie.split('.');
  const forged = await land(target, `${secret ?? ''}.${Buffer.from('//evil.example').toString('base64url')}`);
  expect([forged.status, forged.headers.get('location')]).toEqual([401, null]);
});

test('where the answer goes is said in one way', async () => {
  expect((await begin({ returnTo: '/', redirectUri: callback('open') })).body).toMatchObject({ issues: [{ pointer: '/redirectUri' }] });
  // only browsers that begin here come back here
  expect((await begin({ redirectUri: callback('open') })).status).toBe(422);
});

test('an identity is linked in the same way', async () => {
  const { key } = await aPerson(api);
  const begun = await api.call('POST', '/api/v1/auth/identities', { key, body: { provider: 'open', returnTo: '/me' } });
  const answer = await issuer.visit((begun.body as Begun).authorizationUrl, 'eve');
  const landed = await land(`/api/v1/auth/oauth/open/callback?${answer.toString()}`, pairOf(begun.headers, '__Host-tiu_sign_in'));
  expect(landed.headers.get('location')).toBe(`${PUBLIC}/me`);
  expect((await api.call('GET', '/api/v1/auth/identities', { key })).body).toMatchObject({ items: [{ provider: 'open' }] });
});
