import { Problem } from '../../../domain/problem.ts';
import { endSession, endSessions, switchWorkspace } from '../../../db/sessions.ts';
import { accessCookieOf, forgetCookies, grantReply, refreshCookieOf } from '../../auth/cookies.ts';
import { accessOf } from '../../auth/openSession.ts';
import { refreshSession } from '../../auth/refreshSession.ts';
import { requireSameSite } from '../../auth/sameSite.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import { issueTicket } from '../../auth/socketTickets.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { selfOf } from './routes.ts';
import { Jwks, logoutRequest, refreshRequest, Switched, switchRequest, Ticket } from './schemas.ts';

const tag = 'sessions';

const refresh = defineRoute({
  method: 'post',
  path: '/api/v1/auth/refresh',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'Change a refresh token for new tokens',
  description:
    'A refresh token is good for one change. Sent again within some seconds it is answered with the same next one; sent again later it ends its session.',
  request: { query: noQuery, body: { schema: refreshRequest } },
  responses: { 200: { description: 'New tokens', schema: SessionGrant } },
  problems: ['unauthenticated', 'sign_in_not_configured', 'cross_site_request'],
  handler: async ({ deps, body, headers, origin }) => {
    const cookie = body.refreshToken === undefined ? refreshCookieOf(headers) : undefined;
    if (cookie !== undefined) requireSameSite(deps.config, { headers, isProven: true });
    const token = body.refreshToken ?? cookie;
    if (token === undefined) throw new Problem('unauthenticated', { detail: 'The refresh token is not valid' });
    const { remember, ...grant } = await refreshSession(deps, token, origin);
    return grantReply(grant, { transport: cookie === undefined ? 'token' : 'cookie', remember, config: deps.config });
  },
});

const logout = defineRoute({
  method: 'post',
  path: '/api/v1/auth/logout',
  action: 'self',
  beforeSecondFactor: true,
  cost: 'write',
  tag,
  summary: "End the session that asks, or all of one's own",
  request: { query: noQuery, body: { schema: logoutRequest } },
  responses: { 204: { description: 'Ended, everywhere within a second' } },
  handler: async ({ deps, actor, body }) => {
    const { account, session } = selfOf(actor);
    const by = { account, reason: 'logout', by: actor.principal };
    await (body.all ? endSessions(deps.db, by) : endSession(deps.db, { ...by, session: session.id }));
    deps.authenticate.forget(body.all ? `account:${account}` : `session:${session.id}`);
    return { status: 204, headers: forgetCookies() };
  },
});

const switchTo = defineRoute({
  method: 'post',
  path: '/api/v1/auth/switch',
  action: 'self',
  beforeSecondFactor: true,
  cost: 'write',
  tag,
  summary: 'Act in another workspace',
  description: 'Access tokens for the former workspace are refused from now on; the refresh token stays.',
  request: { query: noQuery, body: { schema: switchRequest } },
  responses: { 200: { description: 'A token for it', schema: Switched } },
  problems: ['not_found'],
  handler: async ({ deps, actor, body, headers }) => {
    const { session } = selfOf(actor);
    const place = await switchWorkspace(deps.db, { session: session.id, workspace: body.workspace, now: deps.clock() });
    if (!place) throw new Problem('not_found', { detail: 'You are no member of this workspace' });
    deps.authenticate.forget(`session:${session.id}`);
    const grant = await accessOf(deps.tokens, place);
    return grantReply(grant, {
      transport: accessCookieOf(headers) === undefined ? 'token' : 'cookie',
      remember: false,
      config: deps.config,
    });
  },
});

const ticket = defineRoute({
  method: 'post',
  path: '/api/v1/auth/socket-ticket',
  action: 'self',
  cost: 'write',
  tag,
  summary: 'A ticket that opens one socket',
  description: 'For pages that cannot read the tokens of their session: `auth: { token: <ticket> }` in the handshake, once and soon.',
  request: { query: noQuery },
  responses: { 200: { description: 'The ticket', schema: Ticket } },
  handler: async ({ deps, actor }) => ({
    status: 200,
    body: { ticket: await issueTicket(deps, selfOf(actor).session.id), expiresIn: Math.floor(deps.config.TIU_SOCKET_TICKET_TTL / 1_000) },
  }),
});

const jwks = defineRoute({
  method: 'get',
  path: '/.well-known/jwks.json',
  action: 'public',
  cost: 'public',
  tag,
  summary: 'Public keys of access tokens',
  request: { query: noQuery },
  responses: { 200: { description: 'A JSON Web Key Set', schema: Jwks } },
  handler: ({ deps }) => Promise.resolve({ status: 200, body: deps.tokens.jwks(), headers: { 'cache-control': 'public, max-age=300' } }),
});

export const tokenRoutes: readonly Route[] = [refresh, logout, switchTo, ticket, jwks];
