import { can, type Actor } from '../../../domain/access/can.ts';
import { rightsOfRole } from '../../../domain/access/grants.ts';
import { Problem } from '../../../domain/problem.ts';
import { findMember, listMembers, removeMember, setMember, type MemberRow } from '../../../db/repositories/members.ts';
import { checkGrant, endOf } from '../../auth/grantFields.ts';
import { roleRights } from '../../auth/roleRights.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { ChangeMember, Member, MemberList, memberParams, membersQuery } from './schemas.ts';

const tag = 'members';
const NONE = '00000000-0000-0000-0000-000000000000';

const presentMember = (actor: Actor, member: MemberRow) => ({
  account: member.account,
  name: member.name,
  fullName: member.full_name,
  email: can(actor, 'member.set', actor) || member.owner === actor.principal ? member.email : null,
  status: member.status,
  role: member.role,
  grantedBy: member.granted_by,
  grantedAt: iso(member.granted),
  expiresAt: maybeIso(member.expires),
});

type MemberCall = Pick<Call<{ account: string }, never, never, never>, 'deps' | 'actor' | 'params'>;

const loadMember = ({ deps, actor, params }: MemberCall): Promise<MemberRow | undefined> => {
  const account = params.account === 'me' ? (actor.account ?? '') : params.account;
  return UUID.test(account) ? findMember(deps.engine, { workspace: actor.workspace, account }) : Promise.resolve(undefined);
};

const list = defineRoute({
  method: 'get',
  path: '/api/v1/members',
  action: 'member.read',
  cost: 'read',
  tag,
  summary: 'People of the workspace',
  request: { query: membersQuery },
  responses: { 200: { description: 'A page', schema: MemberList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, UUID) ?? NONE;
    const rows = await listMembers(deps.engine, { workspace: actor.workspace, role: query.role, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.account);
    return { status: 200, body: { items: shown.map((row) => presentMember(actor, row)), nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/members/{account}',
  action: 'member.read',
  cost: 'read',
  tag,
  summary: 'One member',
  request: { params: memberParams, query: noQuery },
  responses: { 200: { description: 'The member', schema: Member } },
  load: loadMember,
  handler: ({ actor, resource }) => Promise.resolve({ status: 200, body: presentMember(actor, resource) }),
});

const changed = (): Problem => new Problem('state_conflict', { detail: 'The member was changed meanwhile' });

const change = defineRoute({
  method: 'patch',
  path: '/api/v1/members/{account}',
  action: 'member.set',
  cost: 'write',
  tag,
  summary: 'Give a member another role, or another end of it',
  description: 'Nobody gives more than they have, nor changes somebody who has more. A workspace keeps an owner whose grant has no end.',
  request: { params: memberParams, query: noQuery, body: { schema: ChangeMember } },
  responses: { 200: { description: 'Changed; it holds at once', schema: Member } },
  problems: ['last_owner', 'unknown_role', 'state_conflict'],
  load: loadMember,
  handler: async ({ deps, actor, resource, body }) => {
    const { workspace } = resource;
    const role = body.role ?? resource.role;
    checkGrant(actor, rightsOfRole(resource.role, resource.actions), 'The member');
    checkGrant(actor, await roleRights(deps, { workspace, name: role }), 'The role');
    const expires = body.expiresAt === undefined ? dateOf(resource.expires) : endOf(body.expiresAt, deps.clock());
    if (!(await setMember(deps.engine, resource, { role, expires, by: actor.principal }))) throw changed();
    deps.authenticate.forget(`account:${resource.account}`);
    const member = await findMember(deps.engine, resource);
    if (!member) throw new Problem('not_found');
    return { status: 200, body: presentMember(actor, member) };
  },
});

const dateOf = (at: string | null): Date | null => (at === null ? null : new Date(at));

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/members/{account}',
  action: 'member.remove',
  cost: 'write',
  tag,
  summary: 'Take somebody out of the workspace and its projects, or leave it',
  request: { params: memberParams, query: noQuery },
  responses: { 204: { description: 'What they were allowed here they are no longer' } },
  problems: ['last_owner', 'state_conflict'],
  load: loadMember,
  handler: async ({ deps, actor, resource }) => {
    if (resource.owner !== actor.principal) checkGrant(actor, rightsOfRole(resource.role, resource.actions), 'The member');
    if (!(await removeMember(deps.engine, resource, actor.principal))) throw changed();
    deps.authenticate.forget(`account:${resource.account}`);
    return { status: 204 };
  },
});

export const memberRoutes: readonly Route[] = [list, read, change, remove];
