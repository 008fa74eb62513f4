import { ALL_ACTIONS, ROLES, ruleOf, type Action } from '../../../domain/access/actions.ts';
import type { Actor } from '../../../domain/access/can.ts';
import { isRole, rightsOfActions, rightsOfRole } from '../../../domain/access/grants.ts';
import { RIGHTS, type Rights } from '../../../domain/access/roles.ts';
import { Problem } from '../../../domain/problem.ts';
import { changeRole, createRole, deleteRole, findRole, listRoles, type RoleRow } from '../../../db/repositories/roles.ts';
import { checkGrant } from '../../auth/grantFields.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { Permissions, Role, RoleList, roleParams, rolesQuery, SetRole } from './schemas.ts';

const tag = 'roles';
const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

const actionsOf = ({ actions, own }: Rights) => ({
  actions: [...actions].sort(),
  ownActions: [...own].filter((action) => !actions.has(action)).sort(),
});

const presentRole = (role: RoleRow) => ({
  ...{ name: role.name, title: role.title, builtIn: false },
  ...actionsOf(rightsOfActions(role.actions)),
  ...{ createdAt: iso(role.created), createdBy: role.created_by },
});

const BUILT_IN = ROLES.map((name) => ({
  ...{ name, title: null, builtIn: true },
  ...actionsOf(RIGHTS[name]),
  ...{ createdAt: null, createdBy: null },
}));

/** Those of the workspace; the product's own come with the first page. */
const list = defineRoute({
  method: 'get',
  path: '/api/v1/roles',
  action: 'role.read',
  cost: 'read',
  tag,
  summary: "Roles: those that every workspace has, then the workspace's own by name",
  request: { query: rolesQuery },
  responses: { 200: { description: 'A page; the first one has the roles of every workspace besides', schema: RoleList } },
  handler: async ({ deps, actor, query }) => {
    const after = fromCursor(query.cursor, NAME);
    const rows = await listRoles(deps.db, { workspace: actor.workspace, after: after ?? '', limit: query.limit + 1 });
    const { rows: shown, nextCursor } = pageOf(rows, query.limit, (row) => row.name);
    return { status: 200, body: { items: [...(after === undefined ? BUILT_IN : []), ...shown.map(presentRole)], nextCursor } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/roles/{name}',
  action: 'role.read',
  cost: 'read',
  tag,
  summary: 'One role',
  request: { params: roleParams, query: noQuery },
  responses: { 200: { description: 'The role', schema: Role } },
  handler: async ({ deps, actor, params }) => {
    const given = BUILT_IN.find(({ name }) => name === params.name);
    const own = given ? undefined : await findRole(deps.db, { workspace: actor.workspace, name: params.name });
    if (!given && !own) throw new Problem('not_found');
    return { status: 200, body: given ?? (own && presentRole(own)) };
  },
});

/** @throws Problem state_conflict */
function checkOwn(name: string): void {
  if (isRole(name)) throw new Problem('state_conflict', { detail: `Every workspace has the role ${name} as it is` });
}

const set = defineRoute({
  method: 'put',
  path: '/api/v1/roles/{name}',
  action: 'role.set',
  cost: 'write',
  tag,
  summary: "Make a role of the workspace's own, or change what it may",
  description: 'It never may more than who makes it, nor is changed by somebody who may less. A change holds at once for all who have it.',
  request: { params: roleParams, query: noQuery, body: { schema: SetRole } },
  responses: { 200: { description: 'Changed', schema: Role }, 201: { description: 'Made', schema: Role } },
  problems: ['quota_exceeded', 'state_conflict'],
  handler: async ({ deps, actor, params, body }) => {
    const { name } = params;
    checkOwn(name);
    checkGrant(actor, rightsOfActions(body.actions), 'The role');
    const before = await findRole(deps.db, { workspace: actor.workspace, name });
    if (before) checkGrant(actor, rightsOfRole(name, before.actions), 'The role as it is');
    const role = await setRole(deps, actor, { name, before, title: body.title, actions: body.actions });
    deps.authenticate.forget(`workspace:${actor.workspace}`);
    return { status: before ? 200 : 201, body: presentRole(role) };
  },
});

type Wanted = { name: string; before: RoleRow | undefined; title: string | null | undefined; actions: readonly Action[] };

async function setRole({ db, config }: Deps, actor: Actor, { name, before, title, actions }: Wanted): Promise<RoleRow> {
  const { workspace, principal: by } = actor;
  const change = {
    workspace,
    name,
    title: (title === undefined ? before?.title : title) ?? null,
    actions: [...new Set(actions)].sort(),
    by,
  };
  const role = before ? await changeRole(db, before, change) : await createRole(db, change, config.TIU_MAX_ROLES);
  if (role) return role;
  if (before ?? (await findRole(db, { workspace, name })))
    throw new Problem('state_conflict', { detail: 'The role was changed meanwhile' });
  throw new Problem('quota_exceeded', { detail: `At most ${config.TIU_MAX_ROLES} roles` });
}

const remove = defineRoute({
  method: 'delete',
  path: '/api/v1/roles/{name}',
  action: 'role.delete',
  cost: 'write',
  tag,
  summary: 'Delete a role that nobody has',
  request: { params: roleParams, query: noQuery },
  responses: { 204: { description: 'It is gone' } },
  problems: ['role_held', 'state_conflict'],
  handler: async ({ deps, actor, params }) => {
    const { workspace, principal: by } = actor;
    checkOwn(params.name);
    const before = await findRole(deps.db, { workspace, name: params.name });
    if (!before) throw new Problem('not_found');
    checkGrant(actor, rightsOfRole(before.name, before.actions), 'The role');
    if (!(await deleteRole(deps.db, { workspace, name: params.name, by }))) throw new Problem('not_found');
    return { status: 204 };
  },
});

const holds = ({ actions, own }: Rights, action: Action) => (actions.has(action) ? 'yes' : own.has(action) ? 'own' : 'no');

const permissions = defineRoute({
  method: 'get',
  path: '/api/v1/permissions',
  action: 'role.read',
  cost: 'read',
  tag,
  summary: 'Who may do what: every action and every role',
  request: { query: noQuery },
  responses: { 200: { description: 'The matrix', schema: Permissions } },
  handler: ({ actor }) => {
    const actions = ALL_ACTIONS.map((action) => ({
      ...{ action, scope: ruleOf(action).scope },
      roles: Object.fromEntries(ROLES.map((role) => [role, holds(RIGHTS[role], action)])),
      mine: holds(actor, action),
    }));
    return Promise.resolve({ status: 200, body: { roles: ROLES, actions } });
  },
});

export const roleRoutes: readonly Route[] = [list, read, set, remove, permissions];
