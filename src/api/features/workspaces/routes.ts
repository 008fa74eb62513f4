import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import {
  acceptOffer,
  createWorkspace,
  findWorkspace,
  isOperator,
  listWorkspacesOf,
  offerWorkspace,
  changeWorkspace,
  withdrawOffer,
  type WorkspaceRow,
} from '../../../db/repositories/workspaces.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { ChangeWorkspace, NewWorkspace, OfferWorkspace, Workspace, WorkspaceList } from './schemas.ts';

const tag = 'workspaces';
const repeatable = ['idempotency_mismatch', 'idempotency_in_progress'] as const;

const presentWorkspace = (workspace: WorkspaceRow & { role?: string }) => ({
  id: workspace.id,
  name: workspace.name,
  createdAt: iso(workspace.created),
  createdBy: workspace.created_by,
  requireSecondFactor: workspace.require_mfa,
  offer:
    workspace.transfer_to === null || workspace.transfer_until === null
      ? null
      : { to: workspace.transfer_to, until: iso(workspace.transfer_until) },
  closing: workspace.closing === null ? null : { since: iso(workspace.closing), deletedFrom: maybeIso(workspace.closing_until) },
  ...(workspace.role !== undefined && { role: workspace.role }),
});

/** The one that the request acts in. */
const loadOwn = ({ deps, actor }: Pick<Call<never, never, never, never>, 'deps' | 'actor'>) => findWorkspace(deps.engine, actor.workspace);

/** The person of a `self` route. */
const personOf = (actor: { account?: string }): string => actor.account ?? '';

const exists = (name: string): Problem => new Problem('workspace_exists', { detail: `The name ${name} is taken` });

const create = defineRoute({
  method: 'post',
  path: '/api/v1/workspaces',
  action: 'self',
  cost: 'write',
  tag,
  summary: 'Make a workspace, and own it',
  description: 'For operators, or for everybody who has signed in (`TIU_WORKSPACES`).',
  request: { query: noQuery, body: { schema: NewWorkspace } },
  responses: { 201: { description: 'Made', schema: Workspace } },
  problems: ['workspace_exists', 'quota_exceeded', ...repeatable],
  idempotency: 'stored',
  handler: async ({ deps, actor, body }) => {
    const account = personOf(actor);
    const { TIU_WORKSPACES: who, TIU_MAX_WORKSPACES: most } = deps.config;
    const operator = await isOperator(deps.engine, account);
    if (!operator && who === 'operators') throw new Problem('forbidden', { detail: 'Operators make workspaces here' });
    const made = await createWorkspace(deps.engine, { name: body.name, account, most: operator ? null : most });
    if (made === 'exists') throw exists(body.name);
    if (made === 'full') throw new Problem('quota_exceeded', { detail: `At most ${most} workspaces of one owner` });
    return { status: 201, body: presentWorkspace({ ...made, role: 'owner' }) };
  },
});

const list = defineRoute({
  method: 'get',
  path: '/api/v1/workspaces',
  action: 'self',
  cost: 'read',
  tag,
  summary: 'Workspaces that one is a member of',
  request: { query: noQuery },
  responses: { 200: { description: 'All of them, by name', schema: WorkspaceList } },
  handler: async ({ deps, actor }) => {
    const rows = await listWorkspacesOf(deps.engine, personOf(actor));
    return { status: 200, body: { items: rows.map(presentWorkspace) } };
  },
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/workspace',
  action: 'workspace.read',
  cost: 'read',
  tag,
  summary: 'The workspace that the request acts in',
  request: { query: noQuery },
  responses: { 200: { description: 'The workspace', schema: Workspace } },
  load: loadOwn,
  handler: ({ resource }) => Promise.resolve({ status: 200, body: presentWorkspace(resource) }),
});

const rename = defineRoute({
  method: 'patch',
  path: '/api/v1/workspace',
  action: 'workspace.update',
  cost: 'write',
  tag,
  summary: 'Give the workspace another name, or require a second factor in it',
  request: { query: noQuery, body: { schema: ChangeWorkspace } },
  responses: { 200: { description: 'As it is now', schema: Workspace } },
  problems: ['workspace_exists', 'state_conflict'],
  load: loadOwn,
  handler: async ({ deps, actor, resource, body }) => {
    checkOrdinary(resource);
    const { name, requireSecondFactor: requireMfa } = body;
    const changed = await changeWorkspace(deps.engine, resource, { name, requireMfa, by: actor.principal });
    if (!changed) throw exists(name ?? resource.name);
    deps.authenticate.forget(`workspace:${resource.id}`);
    return { status: 200, body: presentWorkspace(changed) };
  },
});

/** That of the product itself keeps its name and its owners. @throws Problem state_conflict */
function checkOrdinary({ id }: WorkspaceRow): void {
  if (id === SYSTEM_WORKSPACE) throw new Problem('state_conflict', { detail: 'The system workspace stays as it is' });
}

const offer = defineRoute({
  method: 'post',
  path: '/api/v1/workspace/offer',
  action: 'workspace.transfer',
  cost: 'write',
  tag,
  summary: 'Offer the workspace to a member',
  description: 'Once they accept they are its owner, and who offered it is an admin. Another offer takes the place of an earlier one.',
  request: { query: noQuery, body: { schema: OfferWorkspace } },
  responses: { 200: { description: 'Offered', schema: Workspace } },
  problems: ['not_found', ...repeatable],
  idempotency: 'stored',
  load: loadOwn,
  handler: async ({ deps, actor, resource, body }) => {
    if (actor.account === undefined || !actor.session) throw new Problem('forbidden', { detail: 'Only a person gives a workspace away' });
    const given = { workspace: resource.id, to: body.to, by: actor.account, ttlMs: deps.config.TIU_TRANSFER_TTL };
    const offered = body.to === actor.account ? undefined : await offerWorkspace(deps.engine, given);
    if (!offered) throw new Problem('not_found', { detail: 'No such member besides you' });
    return { status: 200, body: presentWorkspace(offered) };
  },
});

const withdraw = defineRoute({
  method: 'delete',
  path: '/api/v1/workspace/offer',
  action: 'workspace.transfer',
  cost: 'write',
  tag,
  summary: 'Take the offer back',
  request: { query: noQuery },
  responses: { 204: { description: 'Nobody can accept it any more' } },
  handler: async ({ deps, actor }) => {
    if (!(await withdrawOffer(deps.engine, { workspace: actor.workspace, by: actor.principal }))) throw new Problem('not_found');
    return { status: 204 };
  },
});

const accept = defineRoute({
  method: 'post',
  path: '/api/v1/workspace/offer/accept',
  action: 'self',
  cost: 'write',
  tag,
  summary: 'Accept the workspace that the session acts in',
  request: { query: noQuery },
  responses: { 200: { description: 'One owns it now', schema: Workspace } },
  problems: ['not_found', ...repeatable],
  idempotency: 'stored',
  load: loadOwn,
  handler: async ({ deps, actor, resource }) => {
    if (!(await acceptOffer(deps.engine, { workspace: resource.id, account: personOf(actor) })))
      throw new Problem('not_found', { detail: 'Nothing is offered to you here' });
    deps.authenticate.forget(`account:${personOf(actor)}`);
    return { status: 200, body: { ...presentWorkspace({ ...resource, transfer_to: null }), role: 'owner' } };
  },
});

export const workspaceRoutes: readonly Route[] = [create, list, read, rename, offer, withdraw, accept];
