import type { Actor } from '../../../domain/access/can.ts';
import { matchesSchema } from '../../../domain/definition/jsonSchema.schema.ts';
import type { Json } from '../../../domain/json.ts';
import { invalidField } from '../../../domain/invalidRequest.ts';
import { Problem } from '../../../domain/problem.ts';
import { mayDecide, type Approval } from '../../../domain/run/approvers.ts';
import { findApproval, listApprovals, type ApprovalRow } from '../../../db/approvals.ts';
import type { RunRow } from '../../../db/repositories/runs.ts';
import { fromCursor, pageOf } from '../../cursor.ts';
import type { Deps } from '../../deps.ts';
import { defineRoute, type Reply, type Route } from '../../route.ts';
import { loadRun, taskOf } from '../../runs/readRun.ts';
import { noQuery } from '../../schemas.ts';
import { iso, maybeIso } from '../../time.ts';
import { ApprovalList, approvalParams, approvalsQuery, Approve, Decided, Reject } from './schemas.ts';

const tag = 'approvals';
/** Since when, run and task of the last one shown. */
const CURSOR = /^[-0-9T:.]{20,30}Z [0-9a-f-]{36} \d{1,9}$/;

async function presentApproval(deps: Deps, actor: Actor, row: ApprovalRow) {
  const { graph } = (await deps.plans.get(row.plan)).plan;
  const data = row.data as unknown as Approval;
  return {
    ...{ runId: row.run, workflow: row.definition, task: graph.names[row.task] ?? '', message: data.message, data: data.data ?? null },
    approvers: data.approvers ?? null,
    editable: data.edit !== undefined,
    mine: mayDecide(actor, data, deps.clock() - Date.parse(row.since)),
    openedAt: iso(row.since),
    deadlineAt: maybeIso(row.until),
    reminders: row.reminded,
    nextReminderAt: maybeIso(row.remind_at),
  };
}

const list = defineRoute({
  method: 'get',
  path: '/api/v1/approvals',
  action: 'approval.read',
  cost: 'read',
  tag,
  summary: 'Approvals that wait for somebody to decide, the oldest first',
  request: { query: approvalsQuery },
  responses: { 200: { description: 'A page', schema: ApprovalList } },
  handler: async ({ deps, actor, query }) => {
    const [since = '', run = '', task = '0'] = (fromCursor(query.cursor, CURSOR) ?? '').split(' ');
    const after = since === '' ? undefined : { since, run, task: Number(task) };
    const rows = await listApprovals(deps.db, { workspace: actor.workspace, after, limit: query.limit + 1 });
    const shown = pageOf(rows, query.limit, (row) => `${iso(row.since)} ${row.run} ${row.task}`);
    return {
      status: 200,
      body: { items: await Promise.all(shown.rows.map((row) => presentApproval(deps, actor, row))), nextCursor: shown.nextCursor },
    };
  },
});

type Deciding = {
  deps: Deps;
  actor: Actor;
  resource: RunRow;
  params: { task: string };
  body?: { comment?: string | undefined; edited?: unknown } | undefined;
};

/** @throws Problem approval_closed | forbidden | invalid_request */
async function decide(call: Deciding, type: 'approve' | 'reject'): Promise<Reply> {
  const { deps, actor, resource, params, body = {} } = call;
  const { index: task } = await taskOf(deps, resource, params.task);
  const found = await findApproval(deps.db, { workspace: actor.workspace, run: resource.id, task });
  if (!found) throw new Problem('approval_closed');
  const approval = found.data as unknown as Approval;
  if (!mayDecide(actor, approval, found.openMs)) throw new Problem('forbidden', { detail: 'The approval is for others to decide' });
  checkEdit(approval, body.edited);
  const { comment = null, edited = null } = body;
  const decision = type === 'approve' ? 'approved' : 'rejected';
  const rejected = type === 'reject' && approval.onReject === 'fail';
  const failure = {
    code: 'approval_rejected',
    message: comment === null ? 'Rejected' : `Rejected: ${comment}`,
    data: { by: actor.principal },
  };
  await deps.command({
    ...{ type, run: resource.id, workspace: actor.workspace, task, by: actor.principal },
    ...(comment !== null && { reason: comment }),
    ...(rejected ? { failure: JSON.stringify(failure) } : { output: JSON.stringify({ decision, by: actor.principal, comment, edited }) }),
  });
  return { status: 202, body: { runId: resource.id, task: params.task, decision, by: actor.principal } };
}

function checkEdit({ edit }: Approval, edited: unknown): void {
  if (edited === undefined) return;
  if (edit === undefined) throw invalidField('/edited', 'the approval cannot be edited');
  const [first] = matchesSchema(edit, edited as Json);
  if (first) throw invalidField(`/edited${first.pointer}`, first.message);
}

const route = <T extends 'approve' | 'reject'>(type: T, summary: string) =>
  ({
    method: 'post',
    path: `/api/v1/runs/{id}/tasks/{task}/${type}`,
    action: 'approval.decide',
    cost: 'write',
    tag,
    summary,
    responses: { 202: { description: 'The decision is durable', schema: Decided } },
    problems: ['approval_closed', 'run_already_closed', 'forbidden', 'idempotency_mismatch', 'idempotency_in_progress', 'unavailable'],
    idempotency: 'stored',
    load: loadRun,
  }) as const;

const approve = defineRoute({
  ...route('approve', 'Approve, perhaps something else than was asked'),
  request: { params: approvalParams, query: noQuery, body: { schema: Approve } },
  handler: (call) => decide(call, 'approve'),
});

const reject = defineRoute({
  ...route('reject', 'Reject'),
  request: { params: approvalParams, query: noQuery, body: { schema: Reject } },
  handler: (call) => decide(call, 'reject'),
});

export const approvalRoutes: readonly Route[] = [list, approve, reject];
