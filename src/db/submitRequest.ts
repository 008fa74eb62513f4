import { noteSubmitted, type WaitingRequest } from './personRequests.ts';
import type { Database } from './pool.ts';
import type { Submits } from './submit.ts';
import { systemRun } from './systemDefinitions.ts';

const FILES = { export: 'person-export', erase: 'person-erase' } as const;

/** Submits the run that does what a person has asked for: one run, whoever submits it and however often, until it has ended. */
export async function submitRequest(
  deps: { db: Database } & Pick<Submits, 'submitRun'>,
  { id, kind, before }: WaitingRequest,
): Promise<string> {
  const run = await systemRun(deps.db, { file: FILES[kind], key: `person/${id}/${before ?? 'first'}`, input: { request: id } });
  const { runId } = await deps.submitRun(run);
  await noteSubmitted(deps.db, { id, run: runId });
  return runId;
}
