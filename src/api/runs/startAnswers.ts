import type { ProblemCode } from '../../domain/problem.ts';
import { Run, RunResult } from './schemas.ts';

/** What whoever starts a run is answered. */
export const accepted = {
  200: {
    description: 'It ended within the time that `Prefer: wait=N` (at most 60 s) asked for',
    schema: RunResult,
    headers: { location: 'The run', 'preference-applied': 'wait=N', 'idempotent-replayed': 'true when the key was used before' },
  },
  202: {
    description: 'Accepted: the run is durable',
    schema: Run,
    headers: { location: 'The run', 'idempotent-replayed': 'true when the key was used before' },
  },
};
export const startProblems: ProblemCode[] = [
  'concurrency_limit',
  'quota_exceeded',
  'not_found',
  'project_archived',
  'idempotency_key_required',
  'idempotency_mismatch',
  'invalid_definition',
  'invalid_run_input',
  'number_out_of_range',
  'rate_limited',
  'unavailable',
];
