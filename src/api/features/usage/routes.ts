import { z } from 'zod';
import { Problem } from '../../../domain/problem.ts';
import { QUOTA_NAMES, type QuotaName } from '../../../domain/quota/quotas.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { setQuota } from '../../../db/repositories/quotas.ts';
import { UUID } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';

const tag = 'usage';
const Usage = z
  .object({
    items: z.array(
      z.object({
        name: z.enum(QUOTA_NAMES),
        used: z.number().meta({ description: 'Of sockets those of the API process that answers' }),
        max: z.number(),
      }),
    ),
  })
  .meta({ id: 'Usage', description: 'What a workspace has of what it may have' });
const SetQuota = z
  .strictObject({
    max: z.int().min(0).max(Number.MAX_SAFE_INTEGER).nullable().meta({ description: 'null: as the settings of the installation say' }),
  })
  .meta({ id: 'SetQuota' });
const workspaceParams = z.object({ id: z.string() });

async function usageOf(deps: Deps, workspace: string): Promise<z.output<typeof Usage>> {
  const used = (name: QuotaName) => (name === 'sockets' ? deps.sockets.countOf(workspace) : deps.quotas.usedOf(workspace, name));
  const items = QUOTA_NAMES.map(async (name) => ({ name, used: await used(name), max: await deps.quotas.maxOf(workspace, name) }));
  return { items: await Promise.all(items) };
}

/** Quotas are for the operators of the installation. @throws Problem forbidden | not_found */
function checkOperator(actor: { workspace: string }, workspace: string): void {
  if (actor.workspace !== SYSTEM_WORKSPACE)
    throw new Problem('forbidden', { detail: 'Only operators of the installation, in the system workspace' });
  if (!UUID.test(workspace)) throw new Problem('not_found');
}

const own = defineRoute({
  method: 'get',
  path: '/api/v1/usage',
  action: 'usage.read',
  cost: 'read',
  tag,
  summary: 'What the workspace has of what it may have',
  request: { query: noQuery },
  responses: { 200: { description: 'By quota', schema: Usage } },
  handler: async ({ deps, actor }) => ({ status: 200, body: await usageOf(deps, actor.workspace) }),
});

const read = defineRoute({
  method: 'get',
  path: '/api/v1/workspaces/{id}/usage',
  action: 'quota.set',
  cost: 'read',
  tag,
  summary: 'What some workspace has of what it may have; for operators',
  request: { params: workspaceParams, query: noQuery },
  responses: { 200: { description: 'By quota', schema: Usage } },
  handler: async ({ deps, actor, params }) => {
    checkOperator(actor, params.id);
    return { status: 200, body: await usageOf(deps, params.id) };
  },
});

const set = defineRoute({
  method: 'put',
  path: '/api/v1/workspaces/{id}/quotas/{name}',
  action: 'quota.set',
  cost: 'write',
  tag,
  summary: 'Say how much a workspace may have; for operators',
  description: 'What is there already stays. Other API processes notice within five seconds.',
  request: { params: workspaceParams.extend({ name: z.enum(QUOTA_NAMES) }), query: noQuery, body: { schema: SetQuota } },
  responses: { 200: { description: 'As it stands now', schema: Usage } },
  handler: async ({ deps, actor, params, body }) => {
    checkOperator(actor, params.id);
    const quota = { workspace: params.id, name: params.name, max: body.max, by: actor.principal, system: SYSTEM_WORKSPACE };
    if (!(await setQuota(deps.engine, quota))) throw new Problem('not_found');
    deps.quotas.forget(params.id);
    return { status: 200, body: await usageOf(deps, params.id) };
  },
});

export const usageRoutes: readonly Route[] = [own, read, set];
