import { isClosed } from '../../../domain/plan/outcome.ts';
import { Problem } from '../../../domain/problem.ts';
import { findRun } from '../../../db/repositories/runs.ts';
import { idempotencyKey } from '../../http/idempotency.ts';
import type { Call, Reply } from '../../route.ts';
import { etagOf } from './present.ts';
import { preferredWait } from './prefer.ts';
import { readOutput, readRun } from './readRun.ts';
import { startRun, type StartRunInput } from './startRun.ts';

type Request = Pick<Call<never, never, never, never>, 'deps' | 'actor' | 'headers' | 'gone'>;

/** Starts a run and answers 202, or 200 with its result when the client prefers to wait and it ends in time. */
export async function acceptRun(call: Request, input: Omit<StartRunInput, 'idempotencyKey'>): Promise<Reply> {
  const { deps, actor, headers, gone } = call;
  const wait = preferredWait(headers.prefer);
  const { runId, replayed } = await startRun(deps, actor, { ...input, idempotencyKey: idempotencyKey(headers) });
  deps.metrics.accepted.inc({ replayed: String(replayed) });
  if (wait !== undefined) await deps.closings.whenClosed(runId, AbortSignal.any([gone, AbortSignal.timeout(wait * 1_000)]));
  const run = await findRun(deps.db, { workspace: actor.workspace, id: runId });
  if (!run) throw new Problem('not_found'); // a replay of a run that retention has taken away
  const ended = wait !== undefined && isClosed(run.status);
  const body = await readRun(deps, run);
  return {
    status: ended ? 200 : 202,
    body: ended ? { ...body, output: await readOutput(deps, run) } : body,
    headers: {
      location: body.links.self,
      etag: etagOf(run),
      ...(replayed && { 'idempotent-replayed': 'true' }),
      ...(ended && { 'preference-applied': `wait=${wait}` }),
    },
  };
}
