import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { SYSTEM_WORKSPACE } from '../../../domain/retention/policy.ts';
import { closeWorkspace, reopenWorkspace, type ClosingWorkspace } from '../../../db/repositories/closedWorkspaces.ts';
import { findWorkspace } from '../../../db/repositories/workspaces.ts';
import { submitClosing } from '../../../db/submitClosing.ts';
import { requireFresh } from '../../auth/requireFresh.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Call, type Route } from '../../route.ts';
import { noQuery } from '../../schemas.ts';
import { iso } from '../../time.ts';
import { CloseWorkspace, ClosingWorkspace as ClosingShown } from './schemas.ts';

const tag = 'workspaces';
const loadOwn = ({ deps, actor }: Pick<Call<never, never, never, never>, 'deps' | 'actor'>) => findWorkspace(deps.engine, actor.workspace);

/** It is closing already: when the run cannot be submitted now, a worker does it later. */
async function submit(deps: Deps, workspace: ClosingWorkspace): Promise<void> {
  try {
    if (workspace.before === null) await submitClosing({ db: deps.engine, submitRun: deps.submitRun }, workspace);
  } catch (error) {
    deps.log.warn({ workspace: workspace.id, err: error }, 'workspace_closing.not_submitted');
  }
}

const close = defineRoute({
  method: 'post',
  path: '/api/v1/workspace/close',
  action: 'workspace.close',
  cost: 'batch',
  tag,
  summary: 'Close the workspace: its runs end now, and all that is in it goes when it has not been taken back in time',
  description:
    'By somebody who has just proved who they are and repeats the name of the workspace. Nothing new is started in it from here on (`workspace_closing`); after `TIU_CLOSING_GRACE` a durable run deletes what is in it. Asking again is the same.',
  request: { query: noQuery, body: { schema: CloseWorkspace } },
  responses: { 202: { description: 'It is closing', schema: ClosingShown } },
  problems: ['reauthentication_required', 'state_conflict'],
  load: loadOwn,
  handler: async ({ deps, actor, resource, body }) => {
    requireFresh(actor, deps.clock(), deps.config.TIU_FRESH);
    if (resource.id === SYSTEM_WORKSPACE) throw new Problem('state_conflict', { detail: 'The system workspace stays as it is' });
    if (body.name !== resource.name) throw invalidField('/name', 'is not the name of the workspace');
    const of = { workspace: resource.id, by: actor.principal, graceMs: deps.config.TIU_CLOSING_GRACE };
    const closing = await closeWorkspace(deps.engine, of);
    if (!closing) throw new Problem('not_found');
    deps.closed.forget();
    await submit(deps, closing);
    return { status: 202, body: { closingSince: iso(closing.closing), deletedFrom: iso(closing.until) } };
  },
});

const reopen = defineRoute({
  method: 'delete',
  path: '/api/v1/workspace/close',
  action: 'workspace.close',
  cost: 'write',
  tag,
  summary: 'Take the closing of the workspace back',
  description: 'Until what is in it is being deleted. Runs that have ended stay ended.',
  request: { query: noQuery },
  responses: { 204: { description: 'It goes on' } },
  problems: ['state_conflict'],
  handler: async ({ deps, actor }) => {
    const reopened = await reopenWorkspace(deps.engine, { workspace: actor.workspace, by: actor.principal });
    if (!reopened) throw new Problem('state_conflict', { detail: 'The workspace is not closing, or it cannot be taken back any more' });
    deps.closed.forget();
    if (reopened.run !== null) await endRun(deps, reopened.run, actor.principal);
    return { status: 204 };
  },
});

/** The run that waits to delete it would find that it was taken back; it need not wait for that. */
async function endRun(deps: Deps, run: string, by: string): Promise<void> {
  await deps.command({ run, workspace: SYSTEM_WORKSPACE, by, type: 'cancel', reason: 'taken back' }).catch((error: unknown) => {
    deps.log.warn({ runId: run, err: error }, 'workspace_closing.run_not_cancelled');
  });
}

export const closeRoutes: readonly Route[] = [close, reopen];
