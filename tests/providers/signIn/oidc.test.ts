import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Expected, SignInSettings } from '../../../src/providers/signIn/provider.ts';
import { createSignIn, type SignIn } from '../../../src/providers/signIn/signIn.ts';
import { aForger, json, type Lie, type TestForger } from '../../support/aForger.ts';
import { anIssuer, type TestIssuer } from '../../support/anIssuer.ts';

const REDIRECT = 'http://127.0.0.1:9/callback';
const ada = { email: 'ada@example.com', email_verified: true, name: 'Ada L', preferred_username: 'ada' };

let issuer: TestIssuer;
let second: TestIssuer;
let forger: TestForger;
let open: SignIn<SignInSettings>[];
beforeAll(async () => {
  [issuer, second, forger] = await Promise.all([anIssuer({ ada }, [REDIRECT]), anIssuer({ ada }, [REDIRECT]), aForger()]);
  open = [];
});
afterAll(async () => {
  await Promise.all([...open, issuer, second, forger].map((part) => part.close()));
});

type At = { issuer: string; clientId: string; clientSecret: string };
/** A provider that knows nothing yet of its issuer. */
function providerOf(at: At, more: Partial<SignInSettings> = {}) {
  const settings: SignInSettings = {
    ...{ id: 'one', title: 'One', protocol: 'oidc', issuer: at.issuer, clientId: at.clientId, clientSecret: at.clientSecret },
    ...{ scopes: ['openid', 'email', 'profile'], idTokenAlg: 'RS256', apiUrl: '', insecure: true },
    ...more,
  };
  const signIn = createSignIn([settings], { allow: '127.0.0.0/8', clock: () => Date.now() });
  open.push(signIn);
  const provider = signIn.of('one')?.provider;
  if (!provider) throw new Error('no provider');
  return provider;
}
let n = 0;
const expectation = (): Expected => {
  n += 1;
  return { state: `state-${n}-of-this-test`, nonce: `nonce-${n}`, codeVerifier: `verifier-${n}-${'v'.repeat(43)}`, redirectUri: REDIRECT };
};

test('who has signed in at the issuer is told by the answer, with what the issuer says of them', async () => {
  const provider = providerOf(issuer);
  const expected = expectation();
  const answer = await issuer.visit(await provider.authorizationUrl(expected), 'ada');
  expect(await provider.finish(answer, expected)).toEqual({
    ...{ issuer: issuer.issuer, subject: 'ada', mfa: false, sid: expect.any(String) },
    ...{ email: 'ada@example.com', emailVerified: true, fullName: 'Ada L', userName: 'ada' },
  });
});

test('an answer counts once, for the one that asked', async () => {
  const provider = providerOf(issuer);
  const expected = expectation();
  const answer = await issuer.visit(await provider.authorizationUrl(expected), 'ada');
  for (const other of [
    { ...expected, state: 'another state' },
    { ...expected, nonce: 'another nonce' },
    { ...expected, codeVerifier: 'w'.repeat(43) },
  ])
    await expect(provider.finish(answer, other)).rejects.toMatchObject({ code: 'sign_in_refused' });
  const again = await issuer.visit(await provider.authorizationUrl(expected), 'ada');
  await provider.finish(again, expected);
  await expect(provider.finish(again, expected)).rejects.toMatchObject({ code: 'sign_in_refused' });
});

test('an answer of one issuer is not taken for that of another', async () => {
  const [honest, other] = [providerOf(issuer), providerOf(second)];
  const expected = expectation();
  const answer = await issuer.visit(await honest.authorizationUrl(expected), 'ada');
  await expect(other.finish(answer, expected)).rejects.toMatchObject({ code: 'sign_in_refused' });
});

test('an issuer with a private address is not asked unless it is allowed', async () => {
  const settings: SignInSettings = {
    ...{ id: 'one', title: 'One', protocol: 'oidc', issuer: issuer.issuer, clientId: 'tiu', clientSecret: 's', scopes: ['openid'] },
    ...{ idTokenAlg: 'RS256', apiUrl: '', insecure: true },
  };
  const signIn = createSignIn([settings], { allow: '', clock: () => Date.now() });
  open.push(signIn);
  await expect(signIn.of('one')?.provider.authorizationUrl(expectation())).rejects.toMatchObject({ code: 'sign_in_unavailable' });
});

const now = () => Math.floor(Date.now() / 1_000);
const text =
  (type: string, body: string | Buffer, status = 200): NonNullable<Lie['token']> =>
  (response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
  };
const redirect: NonNullable<Lie['token']> = (response) => {
  response.writeHead(302, { location: 'http://127.0.0.1:9/elsewhere' }).end();
};
const instead =
  (changes: object): NonNullable<Lie['token']> =>
  (response, honest) => {
    json(response, { ...honest, ...changes });
  };

/** In the first, `answer` is what comes to the redirect URI instead of what would be right. */
const BAD: [string, Lie & { answer?: Record<string, string>; doubled?: string }][] = [
  ['another issuer in the ID token', { claims: { iss: 'https://issuer.example' } }],
  ['the issuer with a slash more', { claims: { iss: 'http://127.0.0.1/' } }],
  ['no issuer in the ID token', { claims: { iss: undefined } }],
  ['another audience', { claims: { aud: 'somebody-else' } }],
  ['no audience', { claims: { aud: undefined } }],
  ['audiences without us', { claims: { aud: ['a', 'b'] } }],
  ['several audiences and another authorized party', { claims: { aud: ['tiu', 'b'], azp: 'b' } }],
  ['several audiences and no authorized party', { claims: { aud: ['tiu', 'b'] } }],
  ['another nonce', { claims: { nonce: 'of-another-time' } }],
  ['no nonce', { claims: { nonce: undefined } }],
  ['an ID token that has ended', { claims: { exp: now() - 3_600 } }],
  ['no end of the ID token', { claims: { exp: undefined } }],
  ['an end that is text', { claims: { exp: 'tomorrow' } }],
  ['an ID token that is not valid yet', { claims: { nbf: now() + 3_600 } }],
  ['no time of issue', { claims: { iat: undefined } }],
  ['no subject', { claims: { sub: undefined } }],
  ['an empty subject', { claims: { sub: '' } }],
  ['a subject that is a number', { claims: { sub: 7 } }],
  ['the hash of another access token', { claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } }],
  ['a key that the issuer does not publish', { signature: 'foreign' }],
  ['no signature', { signature: 'none' }],
  ['an HMAC with the secret of the client', { signature: 'secret' }],
  ['an HMAC with the public key', { signature: 'public key' }],
  ['the id of a key that is not there', { header: { kid: '../../etc/passwd' } }],
  ['a critical header that nobody knows', { header: { crit: ['x'], x: 1 } }],
  ['no ID token', { token: instead({ id_token: undefined }) }],
  ['an ID token that is none', { token: instead({ id_token: 'a.b.c' }) }],
  ['no access token', { token: instead({ access_token: undefined }) }],
  ['a token of a type that nobody knows', { token: instead({ token_type: 'mac' }) }],
  [
    'an error instead of tokens',
    {
      token: (response) => {
        json(response, { error: 'invalid_grant' }, 400);
      },
    },
  ],
  ['a fault instead of tokens', { token: text('text/plain', 'oops', 500) }],
  ['a page instead of tokens', { token: text('text/html', '<p>hello</p>') }],
  ['JSON that breaks off', { token: text('application/json', '{"access_token":') }],
  ['a list instead of tokens', { token: text('application/json', '[]') }],
  ['more than there is room for', { token: text('application/json', Buffer.alloc(400_000, ' ')) }],
  ['a token endpoint that sends elsewhere', { token: redirect }],
  [
    'no keys',
    {
      keys: (response) => {
        json(response, { keys: [] });
      },
    },
  ],
  ['keys that are none', { keys: text('text/html', '<p>keys</p>') }],
  ['another state', { answer: { state: 'of-another-browser' } }],
  ['no state', { answer: { state: '' } }],
  ['the name of another issuer (RFC 9207)', { answer: { iss: 'https://issuer.example' } }],
  ['no name of the issuer although it gives one', { answer: { iss: '' } }],
  ['an error of the issuer', { answer: { error: 'access_denied', code: '' } }],
  ['no code', { answer: { code: '' } }],
  ['two states', { doubled: 'state' }],
  ['two codes', { doubled: 'code' }],
];

test.each(BAD)('an answer with %s is refused', async (_, { answer: changes, doubled, ...lie }) => {
  const provider = providerOf(forger);
  const expected = expectation();
  await provider.authorizationUrl(expected);
  forger.lie(lie);
  const told = { code: expected.nonce, state: expected.state, iss: forger.issuer, ...changes };
  const answer = new URLSearchParams(Object.entries(told).filter(([, value]) => value !== ''));
  if (doubled !== undefined) answer.append(doubled, answer.get(doubled) ?? '');
  await expect(provider.finish(answer, expected)).rejects.toMatchObject({ code: 'sign_in_refused', status: 401 });
});

test('what is right is taken from the same issuer', async () => {
  const provider = providerOf(forger);
  const expected = expectation();
  forger.lie({});
  const answer = new URLSearchParams({ code: expected.nonce, state: expected.state, iss: forger.issuer });
  expect(await provider.finish(answer, expected)).toMatchObject({ subject: 'p', email: 'p@example.com', emailVerified: true });
});

test.each<[string, NonNullable<Lie['discovery']>]>([
  ['of another issuer', instead({ issuer: 'https://issuer.example' })],
  ['that is a page', text('text/html', '<p>hello</p>')],
  ['that sends elsewhere', redirect],
  ['that is not there', text('application/json', '{}', 404)],
])('a discovery document %s is not believed', async (_, discovery) => {
  forger.lie({ discovery });
  await expect(providerOf(forger).authorizationUrl(expectation())).rejects.toMatchObject({ code: 'sign_in_unavailable', status: 503 });
});

test('the subject of userinfo has to be that of the ID token', async () => {
  const provider = providerOf(forger);
  const expected = expectation();
  forger.lie({ claims: { email: undefined }, userinfo: { sub: 'q', email: 'q@example.com', email_verified: true } });
  const answer = new URLSearchParams({ code: expected.nonce, state: expected.state, iss: forger.issuer });
  await expect(provider.finish(answer, expected)).rejects.toMatchObject({ code: 'sign_in_refused' });
});
