import type { Json } from '../../domain/json.ts';
import type { Plan } from '../../domain/plan/plan.ts';
import { Problem } from '../../domain/problem.ts';
import { planMarks } from '../../domain/redaction/planMarks.ts';
import { findRunView, type ClosedRun } from '../../db/repositories/runs.ts';
import { idempotencyKey } from '../http/idempotency.ts';
import type { Call, Reply } from '../route.ts';
import { etagOf } from './present.ts';
import { preferredWaitMs } from './prefer.ts';
import { presentView, readShown } from './readRun.ts';
import { startRun, type Started, type StartRunInput } from './startRun.ts';

type Request = Pick<Call<never, never, never, never>, 'deps' | 'actor' | 'headers' | 'gone'>;

/** Starts a run and answers 202, or 200 with its result when the client prefers to wait and it ends in time. */
export async function acceptRun(call: Request, input: Omit<StartRunInput, 'idempotencyKey'>): Promise<Reply> {
  const { deps, actor, headers } = call;
  const mark = deps.untouched.mark();
  const started = await startRun(deps, actor, { ...input, idempotencyKey: idempotencyKey(headers) });
  if (started.accepted) deps.untouched.add(started.accepted, mark);
  return answerStarted(call, started);
}

/** Answers for a run that is durable by now. */
export async function answerStarted({ deps, actor, headers, gone }: Request, started: Started): Promise<Reply> {
  const waitMs = preferredWaitMs(headers.prefer);
  const { runId, plan, replayed, accepted } = started;
  if (!replayed && waitMs > 0) deps.awaited(runId);
  deps.metrics.accepted.inc({ replayed: String(replayed) });
  const closed = waitMs > 0 ? await deps.closings.whenClosed(runId, { ms: waitMs, gone: gone(), look: accepted === undefined }) : undefined;
  const run = closed ?? (waitMs > 0 ? undefined : accepted) ?? (await findRunView(deps.db, { workspace: actor.workspace, id: runId }));
  if (!run) throw new Problem('not_found'); // a replay of a run that retention has taken away
  const body = await presentView(deps, run);
  return {
    status: closed ? 200 : 202,
    body: closed ? { ...body, output: await outputOf(deps, closed, replayed ? undefined : plan) } : body,
    headers: {
      location: body.links.self,
      etag: etagOf(run),
      ...(replayed && { 'idempotent-replayed': 'true' }),
      ...(closed && { 'preference-applied': `wait=${waitMs / 1_000}` }),
    },
  };
}

/** @param plan of a run that was accepted just now; one that was accepted before may have another */
async function outputOf(deps: Request['deps'], run: ClosedRun, plan: Plan | undefined): Promise<Json> {
  const { output: marks } = planMarks(plan ?? (await deps.plans.get(run.plan)).plan);
  return readShown(deps, run, { workspace: run.workspace, marks });
}
