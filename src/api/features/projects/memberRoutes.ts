import type { Actor } from '../../../domain/access/can.ts';
import { rightsOfRole } from '../../../domain/access/grants.ts';
import { NO_RIGHTS, type Rights } from '../../../domain/access/roles.ts';
import { Problem } from '../../../domain/problem.ts';
import {
  findProjectMember,
  listProjectMembers,
  removeProjectMember,
  setProjectMember,
  type ProjectMemberRow,
  type ProjectRow,
} from '../../../db/repositories/projects.ts';
import { checkGrant, endOf } from '../../auth/grantFields.ts';
import { roleRights } from '../../auth/roleRights.ts';
import { fromCursor, pageOf, UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { loadProject } from './loadProject.ts';
import { ProjectMember, ProjectMemberList, projectMemberParams, projectMembersQuery, projectParams, SetProjectMember } from './schemas.ts';

const tag = 'projects';
const NONE = '00000000-0000-0000-0000-000000000000';

const presentMember = (member: ProjectMemberRow) => ({
  account: member.account,
  name: member.name,
  role: member.role,
  grantedBy: member.granted_by,
  grantedAt: iso(member.granted),
  expiresAt: maybeIso(member.expires),
});

/** What somebody may do in a project, in all. */
function rightsIn(actor: Actor, project: ProjectRow): Rights {
  const here = actor.projects.get(project.id) ?? NO_RIGHTS;
  return { actions: new Set([...actor.actions, ...here.actions]), own: new Set([...actor.own, ...here.own]) };
}

/** The member as it is, whom the actor may change. @throws Problem forbidden */
async function mayChange(deps: Deps, actor: Actor, place: { project: ProjectRow; account: string }): Promise<void> {
  const { project, account } = place;
  const before = await findProjectMember(deps.engine, { project: project.id, account });
  if (before) checkGrant(rightsIn(actor, project), rightsOfRole(before.role, before.actions), 'The member');
}

const list = defineRoute({
  method: 'get',
  path: '/api/v1/projects/{project}/members',
  action: 'project.read',
  cost: 'read',
  tag,
  summary: 'People who have a role in the project',
  request: { params: projectParams, query: projectMembersQuery },
  responses: { 200: { description: 'A page', schema: ProjectMemberList } },
  load: loadProject,
  handler: async ({ deps, resource, query }) => {
    const after = fromCursor(query.cursor, UUID) ?? NONE;
    const rows = await listProjectMembers(deps.engine, { project: resource.id, after, limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.account);
    return { status: 200, body: { items: shown.map(presentMember), nextCursor } };
  },
});

const set = defineRoute({
  method: 'put',
  path: '/api/v1/projects/{project}/members/{account}',
  action: 'project.share',
  cost: 'write',
  tag,
  summary: 'Give a member of the workspace a role in the project',
  description: 'It adds to what they may do in the workspace and takes nothing away. Nobody gives more than they have.',
  request: { params: projectMemberParams, query: noQuery, body: { schema: SetProjectMember } },
  responses: { 200: { description: 'It holds at once', schema: ProjectMember } },
  problems: ['unknown_role', 'not_found'],
  load: loadProject,
  handler: async ({ deps, actor, resource, params, body }) => {
    const { workspace, id: project } = resource;
    const place = { project, account: params.account };
    if (!UUID.test(place.account)) throw noMember();
    checkGrant(rightsIn(actor, resource), await roleRights(deps, { workspace, name: body.role }), 'The role');
    await mayChange(deps, actor, { project: resource, account: place.account });
    const expires = endOf(body.expiresAt, deps.clock());
    const given = await setProjectMember(deps.engine, { ...place, workspace, role: body.role, expires, by: actor.principal });
    deps.authenticate.forget(`account:${place.account}`);
    const member = given ? await findProjectMember(deps.engine, place) : undefined;
    if (!member) throw noMember();
    return { status: 200, body: presentMember(member) };
  },
});

const noMember = (): Problem => new Problem('not_found', { detail: 'No such member' });

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/projects/{project}/members/{account}',
  action: 'project.share',
  cost: 'write',
  tag,
  summary: 'Take the role in the project away',
  request: { params: projectMemberParams, query: noQuery },
  responses: { 204: { description: 'What the person may do in the workspace stays' } },
  load: loadProject,
  handler: async ({ deps, actor, resource, params }) => {
    const { workspace, id: project } = resource;
    if (!UUID.test(params.account)) throw noMember();
    await mayChange(deps, actor, { project: resource, account: params.account });
    if (!(await removeProjectMember(deps.engine, { workspace, project, account: params.account, by: actor.principal }))) throw noMember();
    deps.authenticate.forget(`account:${params.account}`);
    return { status: 204 };
  },
});

export const projectMemberRoutes: readonly Route[] = [list, set, remove];
