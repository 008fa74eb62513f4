import type { Plan } from '../../../domain/plan/plan.ts';
import { Problem } from '../../../domain/problem.ts';
import { findDefinition } from '../../../db/repositories/definitions.ts';
import type { Deps } from '../../deps.ts';

/** What a run is to follow: the plan, and where it came from. */
export type Resolved = { plan: Plan; hash: Buffer; body: string; name: string; number?: number; canonical?: string };

export type Source = { definition: string | object } | { workspace: string; name: string; version: string | number | undefined };

/** @throws Problem invalid_definition | not_found */
export async function resolvePlan(deps: Pick<Deps, 'db' | 'definitions' | 'plans'>, source: Source): Promise<Resolved> {
  if ('definition' in source) {
    const { definition, plan, planHash, planText, canonical } = deps.definitions.compile(source.definition);
    return { plan, hash: planHash, body: planText, name: definition.name, canonical };
  }
  const stored = await findDefinition(deps.db, source);
  if (!stored)
    throw new Problem('not_found', {
      detail: `No workflow ${source.name}${source.version === undefined ? '' : ` of version ${source.version}`}`,
    });
  const { plan, text } = await deps.plans.get(stored.plan);
  return { plan, hash: Buffer.from(stored.plan, 'hex'), body: text, name: stored.name, number: stored.number };
}
