import { Problem } from '../../../domain/problem.ts';
import { findInvitation, listInvitations, revokeInvitation, type InvitationRow } from '../../../db/repositories/invitations.ts';
import { findMember } from '../../../db/repositories/members.ts';
import { notConfigured, openSession } from '../../auth/openSession.ts';
import { originOf } from '../../auth/origin.ts';
import { SessionGrant } from '../../auth/sessionGrant.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { acceptAs, acceptAsNew } from './acceptInvitation.ts';
import { invite } from './invite.ts';
import {
  AcceptInvitation,
  CreateInvitation,
  InvitationList,
  invitationParams,
  invitationsQuery,
  Joined,
  JoinWorkspace,
  NewInvitation,
} from './schemas.ts';

const tag = 'invitations';

const presentInvitation = (invitation: InvitationRow) => ({
  id: invitation.id,
  email: invitation.email,
  mailed: invitation.mailed,
  role: invitation.role,
  projects: invitation.projects.map(({ project, role }) => ({ projectId: project, role })),
  createdAt: iso(invitation.created),
  createdBy: invitation.created_by,
  expiresAt: iso(invitation.expires),
});

const create = defineRoute({
  method: 'post',
  path: '/api/v1/invitations',
  action: 'invitation.create',
  cost: 'write',
  tag,
  summary: 'Invite somebody to the workspace',
  description:
    'The link goes to the mail address if there is one and this installation sends mail; otherwise it is in the answer. Nobody gives more than they have, and what somebody has invited to ends when their own role does.',
  request: { query: noQuery, body: { schema: CreateInvitation } },
  responses: { 201: { description: 'Made', schema: NewInvitation } },
  problems: ['not_found', 'unknown_role', 'quota_exceeded', 'idempotency_mismatch', 'idempotency_in_progress'],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const { invitation, token, link } = await invite(deps, actor, body);
    const shown = presentInvitation(invitation);
    return { status: 201, body: { ...shown, token, link }, replay: { ...shown, token: null, link: null } };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/invitations',
  action: 'invitation.read',
  cost: 'read',
  tag,
  summary: 'Open invitations, newest first',
  request: { query: invitationsQuery },
  responses: { 200: { description: 'A page', schema: InvitationList } },
  handler: async ({ deps, actor, query }) => {
    const page = { workspace: actor.workspace, before: fromCursor(query.cursor, UUID), limit: query.limit + 1 };
    const { rows, nextCursor } = pageOf(await listInvitations(deps.engine, page), query.limit, (row) => row.id);
    return { status: 200, body: { items: rows.map(presentInvitation), nextCursor } };
  },
});

const loadInvitation = ({ deps, actor, params }: Pick<Call<{ id: string }, never, never, never>, 'deps' | 'actor' | 'params'>) =>
  UUID.test(params.id) ? findInvitation(deps.engine, { workspace: actor.workspace, id: params.id }) : Promise.resolve(undefined);

const revoke = defineRoute({
  method: 'delete',
  path: '/api/v1/invitations/{id}',
  action: 'invitation.revoke',
  cost: 'write',
  tag,
  summary: 'Take an invitation back',
  request: { params: invitationParams, query: noQuery },
  responses: { 204: { description: 'It cannot be accepted any more' } },
  load: loadInvitation,
  handler: async ({ deps, actor, resource }) => {
    if (!(await revokeInvitation(deps.engine, { workspace: actor.workspace, id: resource.id, by: actor.principal })))
      throw new Problem('not_found');
    return { status: 204 };
  },
});

const accept = defineRoute({
  method: 'post',
  path: '/api/v1/invitations/accept',
  action: 'public',
  cost: 'auth',
  tag,
  summary: 'Accept an invitation as somebody new',
  description:
    'Makes the account, and signs in. Whatever is wrong with the token, the answer is the same; it stays good when something else is.',
  request: { query: noQuery, body: { schema: AcceptInvitation } },
  responses: { 201: { description: 'Accepted; a session is open', schema: SessionGrant } },
  problems: ['link_invalid', 'name_taken', 'email_taken', 'unknown_role', 'quota_exceeded', 'sign_in_not_configured', 'overloaded'],
  handler: async ({ deps, body, raw }) => {
    if (!deps.tokens.isConfigured) throw notConfigured();
    const { account, place } = await acceptAsNew(deps, body);
    const { ip, userAgent } = originOf(deps, raw);
    const session = { account, method: 'invitation' as const, mfa: false, ip, userAgent, workspace: place.workspace };
    return { status: 201, body: await openSession(deps, { ...session, ...(body.device !== undefined && { device: body.device }) }) };
  },
});

const join = defineRoute({
  method: 'post',
  path: '/api/v1/invitations/join',
  action: 'self',
  cost: 'auth',
  tag,
  summary: 'Accept an invitation as who has signed in',
  description: 'A role that one has there already stays.',
  request: { query: noQuery, body: { schema: JoinWorkspace } },
  responses: { 200: { description: 'One is a member', schema: Joined } },
  problems: ['link_invalid', 'unknown_role', 'quota_exceeded'],
  handler: async ({ deps, actor, body }) => {
    const account = actor.account ?? '';
    const { workspace } = await acceptAs(deps, { token: body.token, account });
    const member = await findMember(deps.engine, { workspace, account });
    return { status: 200, body: { workspace, role: member?.role ?? '' } };
  },
});

export const invitationRoutes: readonly Route[] = [create, list, revoke, accept, join];
