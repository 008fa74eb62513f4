import { Problem } from '../../../domain/problem.ts';
import type { AssertionResponse } from '../../../providers/passkey/passkeys.ts';
import { auditAccount } from '../../auth/auditAccount.ts';
import { accessCookieOf, grantReply } from '../../auth/cookies.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { completeSignIn, type SignedIn, type SignInHow } from './completeSignIn.ts';
import { assertionOptions, assertPasskey } from './passkeyAssertion.ts';
import { reauthenticate } from './reauthenticate.ts';
import { Login, LoginAnswer, Mfa, PasskeyOptions, PasskeySignIn, Reauthenticate, SignedIn as SignedInSchema } from './schemas.ts';
import { secondStep, type Shown } from './secondStep.ts';
import { signIn } from './signIn.ts';

const tag = 'sign-in';

/** Its tokens as the client wants them, and the token of its device. */
function signedIn({ config }: Pick<Deps, 'config'>, { opened, deviceToken }: SignedIn, how: SignInHow): Reply {
  const reply = grantReply(opened, { transport: how.transport, remember: how.remember, config });
  return { ...reply, body: { status: 'signed_in', ...(reply.body as object), deviceToken } };
}

/** Of the schema exactly one is there. */
function shownOf(body: { code?: string | undefined; recoveryCode?: string | undefined; passkey?: unknown }): Shown {
  if (body.code !== undefined) return { code: body.code };
  if (body.recoveryCode !== undefined) return { recoveryCode: body.recoveryCode };
  return { passkey: body.passkey as AssertionResponse };
}

const login = defineRoute({
  method: 'post',
  path: '/api/v1/auth/login',
  action: 'public',
  cost: 'login',
  tag,
  summary: 'Sign in with name or mail address, and password',
  description: 'Answers tell nothing of who has an account. With a second factor it takes another step: POST /auth/login/mfa.',
  request: { query: noQuery, body: { schema: Login } },
  responses: { 200: { description: 'Signed in, or a second factor is asked for', schema: LoginAnswer } },
  problems: ['invalid_credentials', 'too_many_tries', 'sign_in_disabled', 'sign_in_not_configured'],
  handler: async ({ deps, origin, body }) => {
    if (!deps.tokens.isConfigured) throw new Problem('sign_in_not_configured');
    const done = await signIn(deps, body, origin);
    return 'mfaToken' in done ? { status: 200, body: { status: 'mfa_required', ...done } } : signedIn(deps, done, body);
  },
});

const mfa = defineRoute({
  method: 'post',
  path: '/api/v1/auth/login/mfa',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'Sign in: the second factor',
  request: { query: noQuery, body: { schema: Mfa } },
  responses: { 200: { description: 'Signed in', schema: SignedInSchema } },
  problems: ['invalid_code', 'too_many_tries', 'sign_in_disabled', 'sign_in_not_configured'],
  handler: async ({ deps, origin, body }) => {
    const { how, ...done } = await secondStep(deps, { mfaToken: body.mfaToken, shown: shownOf(body) }, origin);
    return signedIn(deps, done, how);
  },
});

const passkeyOptions = defineRoute({
  method: 'post',
  path: '/api/v1/auth/login/passkey/options',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'A challenge for whichever passkey somebody has',
  request: { query: noQuery },
  responses: { 200: { description: 'For navigator.credentials.get', schema: PasskeyOptions } },
  handler: async ({ deps }) => ({ status: 200, body: await assertionOptions(deps, null) }),
});

const passkey = defineRoute({
  method: 'post',
  path: '/api/v1/auth/login/passkey',
  action: 'public',
  cost: 'code',
  tag,
  summary: 'Sign in with a passkey, without a name',
  request: { query: noQuery, body: { schema: PasskeySignIn } },
  responses: { 200: { description: 'Signed in', schema: SignedInSchema } },
  problems: ['invalid_code', 'sign_in_not_configured'],
  handler: async ({ deps, origin, body }) => {
    const account = await assertPasskey(deps, body.passkey as AssertionResponse, null);
    if (account === undefined) {
      await auditAccount(deps, { action: 'auth.login_failed', account: null, refused: 'invalid_code', data: { method: 'passkey' } });
      throw new Problem('invalid_code');
    }
    // the passkey itself has checked the person: two factors in one
    return signedIn(deps, await completeSignIn(deps, { account, method: 'passkey', mfa: true, how: body, origin }), body);
  },
});

const again = defineRoute({
  method: 'post',
  path: '/api/v1/auth/reauthenticate',
  action: 'self',
  beforeSecondFactor: true,
  cost: 'code',
  tag,
  summary: 'Prove again who you are',
  description: 'For what is asked of people who have just done so: how they sign in, their mail address.',
  request: { query: noQuery, body: { schema: Reauthenticate } },
  responses: { 200: { description: 'Proved', schema: SignedInSchema.omit({ deviceToken: true }).meta({ id: 'Reauthenticated' }) } },
  problems: ['invalid_credentials', 'invalid_code', 'too_many_tries', 'sign_in_disabled'],
  handler: async ({ deps, actor, body, headers }) => {
    const opened = await reauthenticate(deps, actor, body.password === undefined ? shownOf(body) : { password: body.password });
    const reply = grantReply(opened, {
      transport: accessCookieOf(headers) === undefined ? 'token' : 'cookie',
      remember: false,
      config: deps.config,
    });
    return { ...reply, body: { status: 'signed_in', ...(reply.body as object) } };
  },
});

const againOptions = defineRoute({
  method: 'post',
  path: '/api/v1/auth/reauthenticate/options',
  action: 'self',
  beforeSecondFactor: true,
  cost: 'code',
  tag,
  summary: 'A challenge for one of your own passkeys',
  request: { query: noQuery },
  responses: { 200: { description: 'For navigator.credentials.get', schema: PasskeyOptions } },
  handler: async ({ deps, actor }) => ({ status: 200, body: await assertionOptions(deps, actor.account ?? null) }),
});

export const signInRoutes: readonly Route[] = [login, mfa, passkeyOptions, passkey, again, againOptions];
