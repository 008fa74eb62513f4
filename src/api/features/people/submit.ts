import type { PersonRequest } from '../../../db/personRequests.ts';
import { submitRequest } from '../../../db/submitRequest.ts';
import type { Deps } from '../../deps.ts';

/** It is accepted already: when the run cannot be submitted now, a worker does it later. */
export async function submit(deps: Deps, { id, kind }: PersonRequest): Promise<void> {
  try {
    await submitRequest({ db: deps.engine, submitRun: deps.submitRun }, { id, kind, before: null });
  } catch (error) {
    deps.log.warn({ request: id, err: error }, 'person_request.not_submitted');
  }
}
