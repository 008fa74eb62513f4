import { isClosed } from '../../domain/plan/outcome.ts';
import type { ClosedRun, RunView } from '../../db/repositories/runs.ts';
import { UUID } from '../cursor.ts';
import type { Call } from '../route.ts';
import { preferredWaitMs } from './prefer.ts';
import { loadRunView } from './readRun.ts';

export type Awaited = RunView & { end?: Promise<ClosedRun | undefined> };
type Waiting = Pick<Call<{ id: string }, never, never, never>, 'deps' | 'actor' | 'params' | 'headers' | 'gone'>;

/** The run, and its end if the client prefers to wait: listening begins before the run is read, so that one read is enough. */
export async function loadAwaited({ deps, actor, params, headers, gone }: Waiting): Promise<Awaited | undefined> {
  const ms = preferredWaitMs(headers.prefer);
  const end = ms > 0 && UUID.test(params.id) ? deps.closings.whenClosed(params.id, { ms, gone: gone(), look: false }) : undefined;
  const untouched = end && deps.untouched.get(params.id);
  const run = untouched?.workspace === actor.workspace ? untouched : await loadRunView({ deps, actor, params });
  if (end && run?.status === 'queued') deps.awaited(run.id);
  return run && (end && !isClosed(run.status) ? { ...run, end } : run);
}

/** The run as it is, or as it is at its end or after the time that the client prefers to wait. */
export async function awaited(call: Pick<Waiting, 'deps' | 'actor'>, run: Awaited): Promise<RunView> {
  if (!run.end) return run;
  return (await run.end) ?? (await loadRunView({ ...call, params: run })) ?? run;
}
