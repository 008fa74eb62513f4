import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { linkIdentity, listIdentities, unlinkIdentity, type IdentityInfo } from '../../../db/repositories/identities.ts';
import type { ProvenIdentity } from '../../../providers/signIn/provider.ts';
import { grantReply } from '../../auth/cookies.ts';
import { openSession } from '../../auth/openSession.ts';
import { originOf } from '../../auth/origin.ts';
import { publicUrl } from '../../auth/publicUrl.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import { UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Call, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { admitPerson } from './admitPerson.ts';
import { beginAttempt, redeemAttempt, type Attempt } from './attempt.ts';
import { BeginLink, BeginSignIn, FinishSignIn, IdentityList, identityParams, providerParams, Providers, SignInBegun } from './schemas.ts';

const tag = 'sign-in';
const BASE = '/api/v1/auth/sign-in';

const ownCallback = (deps: Pick<Deps, 'config'>, provider: string): string =>
  new URL(`${BASE}/${provider}/callback`, publicUrl(deps.config)).href;

const providerOf = (deps: Deps, id: string) => {
  const found = deps.signIn.of(id);
  if (!found) throw new Problem('not_found', { detail: `No provider ${id}` });
  return found;
};

const list = defineRoute({
  method: 'get',
  path: '/api/v1/auth/providers',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'Who people may sign in with, besides a password',
  request: { query: noQuery },
  responses: { 200: { description: 'In the order of the settings', schema: Providers } },
  handler: ({ deps }) =>
    Promise.resolve({
      status: 200,
      body: { items: deps.signIn.providers.map(({ id, title }) => ({ id, title, links: { begin: `${BASE}/${id}` } })) },
    }),
});

/** @throws Problem invalid_request | sign_in_unavailable */
async function begun(deps: Deps, attempt: Attempt): Promise<Reply> {
  const { settings, provider } = providerOf(deps, attempt.provider);
  const allowed = [ownCallback(deps, attempt.provider), ...settings.redirectUris];
  if (!allowed.includes(attempt.redirectUri)) {
    const issue = { pointer: '/redirectUri', code: 'invalid_value', message: 'is none of those that the settings list' };
    throw new Problem('invalid_request', { detail: `${issue.pointer}: ${issue.message}`, issues: [issue] });
  }
  const { expected, secret, expiresAt } = await beginAttempt(deps, attempt);
  const authorizationUrl = await provider.authorizationUrl(expected);
  return { status: 200, body: { authorizationUrl, state: expected.state, secret, expiresAt: new Date(expiresAt).toISOString() } };
}

const begin = defineRoute({
  method: 'post',
  path: '/api/v1/auth/sign-in/{provider}',
  action: 'public',
  cost: 'auth',
  tag,
  summary: 'Begin to sign in with a provider',
  description: 'OpenID Connect code flow with PKCE, state and nonce (GitHub: OAuth 2). Good for ten minutes and one answer.',
  request: { params: providerParams, query: noQuery, body: { schema: BeginSignIn } },
  responses: { 200: { description: 'Begun', schema: SignInBegun } },
  problems: ['not_found', 'sign_in_unavailable', 'sign_in_not_configured'],
  handler: ({ deps, params, body }) => {
    const { redirectUri = ownCallback(deps, params.provider), remember, device = null } = body;
    return begun(deps, { purpose: 'login', provider: params.provider, redirectUri, remember, device });
  },
});

const beginLink = defineRoute({
  method: 'post',
  path: '/api/v1/auth/identities',
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Begin to link an identity to the account one is signed in to',
  description: 'Wants a proof of who one is from the last minutes. It is linked when the answer of the provider is sent to its callback.',
  request: { query: noQuery, body: { schema: BeginLink } },
  responses: { 200: { description: 'Begun', schema: SignInBegun } },
  problems: ['not_found', 'sign_in_unavailable', 'reauthentication_required'],
  handler: ({ deps, actor, body }) => {
    requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
    const { provider, redirectUri = ownCallback(deps, provider) } = body;
    return begun(deps, { purpose: 'link', account: actor.account ?? '', provider, redirectUri });
  },
});

type Finishing = Pick<
  Call<{ provider: string }, unknown, { answer: string; secret: string; transport: 'token' | 'cookie' }, never>,
  'deps' | 'params' | 'body' | 'raw'
>;

const finish = defineRoute({
  method: 'post',
  path: '/api/v1/auth/sign-in/{provider}/callback',
  action: 'public',
  cost: 'auth',
  tag,
  summary: 'Send the answer of a provider',
  description:
    'Whatever is wrong with it, the answer is the same. An identity that is linked to nobody gets an account if the settings say so.',
  request: { params: providerParams, query: noQuery, body: { schema: FinishSignIn } },
  responses: { 200: { description: 'Signed in', schema: SessionGrant }, 204: { description: 'Linked' } },
  problems: [
    'not_found',
    'sign_in_refused',
    'sign_in_unavailable',
    'registration_closed',
    'identity_not_linked',
    'identity_taken',
    'state_conflict',
    'quota_exceeded',
    'sign_in_not_configured',
  ],
  handler: (call) => finishSignIn(call),
});

/** @throws Problem sign_in_refused and what admitPerson says */
async function finishSignIn({ deps, params, body, raw }: Finishing): Promise<Reply> {
  const { settings, provider } = providerOf(deps, params.provider);
  const answer = new URLSearchParams(body.answer);
  const states = answer.getAll('state');
  if (states.length !== 1) throw new Problem('sign_in_refused');
  const { attempt, expected } = await redeemAttempt(deps, { state: states[0] ?? '', secret: body.secret, provider: params.provider });
  const identity = await provider.finish(answer, expected);
  if (attempt.purpose === 'link') return link(deps, { account: attempt.account, provider: settings.id, identity });
  const account = await admitPerson(deps, { settings, identity });
  const opened = await openSession(deps, {
    ...{ account, method: 'oidc', mfa: identity.mfa, remember: attempt.remember },
    ...(attempt.device !== null && { device: attempt.device }),
    ...originOf(deps, raw),
  });
  return grantReply(opened, { transport: body.transport, remember: attempt.remember, config: deps.config });
}

async function link(
  deps: Deps,
  { account, provider, identity }: { account: string; provider: string; identity: ProvenIdentity },
): Promise<Reply> {
  const linked = await linkIdentity(deps.db, {
    ...identity,
    email: identity.email,
    account,
    provider,
    by: `user:${account}`,
    now: deps.clock(),
  });
  if (!linked) throw new Problem('identity_taken');
  return { status: 204 };
}

const presentIdentity = (identity: IdentityInfo) => ({
  ...{ id: identity.id, provider: identity.provider, issuer: identity.issuer, email: identity.email },
  ...{ createdAt: iso(identity.created), lastUsedAt: iso(identity.lastUsed) },
});

const identities = defineRoute({
  method: 'get',
  path: '/api/v1/auth/identities',
  action: 'self',
  cost: 'read',
  tag,
  summary: 'Identities that one may sign in with',
  request: { query: noQuery },
  responses: { 200: { description: 'The oldest first', schema: IdentityList } },
  handler: async ({ deps, actor }) => ({
    status: 200,
    body: { items: (await listIdentities(deps.db, actor.account ?? '')).map(presentIdentity) },
  }),
});

const unlink = defineRoute({
  method: 'delete',
  path: '/api/v1/auth/identities/{id}',
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Unlink an identity',
  description: 'Wants a proof of who one is from the last minutes. The last way in stays.',
  request: { params: identityParams, query: z.strictObject({}) },
  responses: { 204: { description: 'Unlinked' } },
  problems: ['not_found', 'last_way_in', 'reauthentication_required'],
  handler: async ({ deps, actor, params }) => {
    requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
    if (!UUID.test(params.id)) throw new Problem('not_found');
    const result = await unlinkIdentity(deps.db, { account: actor.account ?? '', id: params.id, by: actor.principal });
    if (result === 'unknown') throw new Problem('not_found');
    if (result === 'last') throw new Problem('last_way_in');
    return { status: 204 };
  },
});

export const identityRoutes: readonly Route[] = [list, begin, finish, beginLink, identities, unlink];
