import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { SignInSettings } from '../../../src/providers/signIn/provider.ts';
import { createSignIn, type SignIn } from '../../../src/providers/signIn/signIn.ts';
import { aForger, type Lie, type TestForger } from '../../support/aForger.ts';

let forger: TestForger;
let signIn: SignIn<SignInSettings>;
let now: number;
beforeAll(async () => {
  forger = await aForger();
  const settings: SignInSettings = {
    ...{ id: 'one', title: 'One', protocol: 'oidc', issuer: forger.issuer, clientId: forger.clientId, clientSecret: forger.clientSecret },
    ...{ scopes: ['openid'], idTokenAlg: 'RS256', apiUrl: '', insecure: true },
  };
  now = Date.now();
  signIn = createSignIn([settings], { allow: '127.0.0.0/8', clock: () => now });
});
afterAll(() => Promise.all([signIn.close(), forger.close()]));

const read = (token: string) => signIn.of('one')?.provider.loggedOut(token);

test.each([
  ['a session', {}, { sid: 's', subject: 'p' }],
  ['a session of nobody in particular', { claims: { sub: undefined } }, { sid: 's' }],
  ['all sessions of a person', { claims: { sid: undefined } }, { subject: 'p' }],
  ['one with its own type', { header: { typ: 'logout+jwt' } }, { sid: 's', subject: 'p' }],
])('a logout token is read: %s', async (_, lie, told) => {
  expect(await read(await forger.logoutToken(lie))).toEqual({ issuer: forger.issuer, ...told });
});

const seconds = (ahead: number): number => Math.floor(Date.now() / 1_000) + ahead;
const BAD: [string, Lie][] = [
  ['signed by a foreign key', { signature: 'foreign' }],
  ['not signed', { signature: 'none' }],
  ['signed with the secret of the client', { signature: 'secret' }],
  ['signed with the public key as a secret', { signature: 'public key' }],
  ['of another issuer', { claims: { iss: 'https://other.example' } }],
  ['for another client', { claims: { aud: 'another' } }],
  ['for nobody', { claims: { aud: undefined } }],
  ['expired', { claims: { exp: seconds(-60) } }],
  ['without an end', { claims: { exp: undefined } }],
  ['old', { claims: { iat: seconds(-600) } }],
  ['without a time', { claims: { iat: undefined } }],
  ['from tomorrow', { claims: { iat: seconds(86_400) } }],
  ['without an id', { claims: { jti: undefined } }],
  ['without an event: an ID token', { claims: { events: undefined } }],
  ['of another event', { claims: { events: { 'https://other.example/event': {} } } }],
  ['whose event is no object', { claims: { events: { 'http://schemas.openid.net/event/backchannel-logout': true } } }],
  ['with a nonce', { claims: { nonce: 'n' } }],
  ['of no session and nobody', { claims: { sid: undefined, sub: undefined } }],
  ['whose session is no text', { claims: { sid: 1 } }],
  ['whose session is empty', { claims: { sid: '' } }],
  ['of the type of an access token', { header: { typ: 'at+jwt' } }],
  ['with a key of its own', { header: { jwk: { kty: 'oct', k: 'AAAA' } }, signature: 'foreign' }],
  ['with an extension nobody knows', { header: { crit: ['x'], x: 1 } }],
];
test.each(BAD)('a logout token is refused: %s', async (_, lie) => {
  await expect(read(await forger.logoutToken(lie))).rejects.toMatchObject({ code: 'sign_in_refused' });
});

test('what is no token at all is refused', async () => {
  for (const text of ['', 'a', 'a.b.c', 'x'.repeat(8_000)]) await expect(read(text)).rejects.toMatchObject({ code: 'sign_in_refused' });
});
