import { z } from 'zod';
import { returnPath } from '../../../domain/account/returnPath.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { listIdentities, unlinkIdentity, type IdentityInfo } from '../../../db/repositories/identities.ts';
import { grantReply } from '../../auth/cookies.ts';
import { publicUrl } from '../../auth/publicUrl.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import { UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { beginAttempt, type Attempt, type Purpose } from './attempt.ts';
import { browserCallback } from './browserRoutes.ts';
import { finishSignIn, providerOf } from './finishSignIn.ts';
import { logoutRoute } from './logoutRoute.ts';
import { pendingCookie } from './pendingCookie.ts';
import { BeginLink, BeginSignIn, FinishSignIn, IdentityList, identityParams, providerParams, Providers, SignInBegun } from './schemas.ts';

const tag = 'sign-in';
const BASE = '/api/v1/auth/sign-in';

const ownCallback = (deps: Pick<Deps, 'config'>, provider: string): string =>
  new URL(`${BASE}/${provider}/callback`, publicUrl(deps.config)).href;

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
  const { settings } = providerOf(deps, attempt.provider);
  const allowed = [ownCallback(deps, attempt.provider), ...settings.redirectUris];
  if (!allowed.includes(attempt.redirectUri)) throw invalidField('/redirectUri', 'is none of those that the settings list');
  const { secret, expiresAt, shown } = await beginAt(deps, attempt);
  return { status: 200, body: { ...shown, secret, expiresAt: new Date(expiresAt).toISOString() } };
}

async function beginAt(deps: Deps, attempt: Attempt) {
  const { provider } = providerOf(deps, attempt.provider);
  const { expected, secret, expiresAt } = await beginAttempt(deps, attempt);
  return { secret, expiresAt, shown: { authorizationUrl: await provider.authorizationUrl(expected), state: expected.state } };
}

/** For a browser without a page that takes the answer: its cookie keeps the secret. @throws Problem as `begun` */
async function begunInBrowser(deps: Deps, attempt: Attempt, wanted: string): Promise<Reply> {
  const returnTo = returnPath(wanted);
  if (returnTo === undefined) throw invalidField('/returnTo', 'must be a path of this origin');
  const { secret, expiresAt, shown } = await beginAt(deps, attempt);
  const seconds = Math.floor((expiresAt - deps.clock()) / 1_000);
  return {
    status: 200,
    body: { ...shown, secret: null, expiresAt: new Date(expiresAt).toISOString() },
    headers: { 'set-cookie': [pendingCookie({ secret, returnTo }, seconds)] },
  };
}

type Where = { provider: string; redirectUri?: string | undefined; returnTo?: string | undefined };

/** @throws Problem as `begun` */
function beginWhere(deps: Deps, { provider, redirectUri, returnTo }: Where, purpose: Purpose): Promise<Reply> {
  if (returnTo === undefined) return begun(deps, { ...purpose, provider, redirectUri: redirectUri ?? ownCallback(deps, provider) });
  if (redirectUri !== undefined) throw invalidField('/redirectUri', 'is for who takes the answer: not together with returnTo');
  return begunInBrowser(deps, { ...purpose, provider, redirectUri: browserCallback(deps, provider) }, returnTo);
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
    const { remember, device = null } = body;
    return beginWhere(deps, { ...body, provider: params.provider }, { purpose: 'login', remember, device });
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
    return beginWhere(deps, body, { purpose: 'link', account: actor.account ?? '' });
  },
});

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
  handler: async ({ deps, params, body, origin }) => {
    const { answer, secret, transport } = body;
    const done = await finishSignIn(deps, { provider: params.provider, answer, secret, origin });
    return done === 'linked' ? { status: 204 } : grantReply(done.opened, { transport, remember: done.remember, config: deps.config });
  },
});

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

export const identityRoutes: readonly Route[] = [list, begin, finish, logoutRoute, beginLink, identities, unlink];
