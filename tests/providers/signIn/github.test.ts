import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Expected } from '../../../src/providers/signIn/provider.ts';
import { createSignIn } from '../../../src/providers/signIn/signIn.ts';
import { form, json } from '../../support/aForger.ts';

type Mail = { email: string; primary: boolean; verified: boolean };

/** Speaks GitHub's part of the web application flow and of the user API: https://docs.github.com/en/rest/users */
let server: Server;
let at: string;
let emails: Mail[];
let challenge: string;
beforeAll(async () => {
  server = createServer();
  server.on('request', (request, response) => {
    void (async () => {
      if (request.url === '/login/oauth/access_token') {
        const asked = Object.fromEntries(await form(request));
        const right =
          asked.code === 'good' &&
          asked.client_secret === 's' &&
          createHash('sha256')
            .update(asked.code_verifier ?? '')
            .digest('base64url') === challenge;
        // GitHub tells of a bad code with 200
        json(
          response,
          right ? { access_token: 'gho_1', token_type: 'bearer', scope: 'read:user,user:email' } : { error: 'bad_verification_code' },
        );
      } else if (request.headers.authorization !== 'Bearer gho_1') json(response, { message: 'Bad credentials' }, 401);
      else if (request.url === '/user') json(response, { id: 583_231, login: 'octocat', name: 'Octo Cat' });
      else json(response, emails);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

const expected: Expected = {
  state: 'state-of-this-test',
  nonce: '',
  codeVerifier: 'v'.repeat(43),
  redirectUri: 'http://127.0.0.1:9/callback',
};

async function finish(code: string, mails: Mail[]) {
  emails = mails;
  const settings = {
    ...{ id: 'github', title: 'GitHub', protocol: 'github' as const, issuer: at, clientId: 'c', clientSecret: 's', apiUrl: at },
    ...{ scopes: ['read:user', 'user:email'], idTokenAlg: 'none', insecure: true },
  };
  const signIn = createSignIn([settings], { allow: '127.0.0.0/8', clock: () => Date.now() });
  const provider = signIn.of('github')?.provider;
  try {
    const url = new URL((await provider?.authorizationUrl(expected)) ?? '');
    challenge = url.searchParams.get('code_challenge') ?? '';
    return await provider?.finish(new URLSearchParams({ code, state: url.searchParams.get('state') ?? '' }), expected);
  } finally {
    await signIn.close();
  }
}

test('who has signed in at GitHub is told by its number, with the primary address that GitHub has verified', async () => {
  const mails = [
    { email: 'old@example.com', primary: false, verified: true },
    { email: 'octo@example.com', primary: true, verified: true },
  ];
  expect(await finish('good', mails)).toEqual({
    ...{ issuer: at, subject: '583231', email: 'octo@example.com', emailVerified: true, mfa: false },
    ...{ fullName: 'Octo Cat', userName: 'octocat' },
  });
});

test('an address that GitHub has not verified is none', async () => {
  const told = await finish('good', [{ email: 'octo@example.com', primary: true, verified: false }]);
  expect(told).toMatchObject({ subject: '583231', emailVerified: false });
  expect(told).not.toHaveProperty('email');
});

test('a bad code is refused although GitHub answers 200', async () => {
  await expect(finish('bad', [])).rejects.toMatchObject({ code: 'sign_in_refused' });
});
