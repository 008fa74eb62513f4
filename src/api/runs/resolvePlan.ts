import type { AskedOrder, Plan } from '../../domain/plan/plan.ts';
import { Problem } from '../../domain/problem.ts';
import { findDefinition } from '../../db/repositories/definitions.ts';
import type { RunRow } from '../../db/repositories/runs.ts';
import type { Deps } from '../deps.ts';

/** What a run is to follow: the plan, and where it came from. */
export type Resolved = { plan: Plan; hash: Buffer; body: string; name: string; number?: number; canonical?: string };

/** `run`: that of a run, as it is. `order`: instead of what the definition says; the plan is then another one of the same definition. */
export type Source =
  | { definition: string | object; order?: AskedOrder }
  | { run: Pick<RunRow, 'plan' | 'definition' | 'definition_number'> }
  | { workspace: string; name: string; version: string | number | undefined; order?: AskedOrder };

/** @throws Problem invalid_definition | invalid_request | not_found */
export async function resolvePlan(deps: Pick<Deps, 'db' | 'definitions' | 'plans'>, source: Source): Promise<Resolved> {
  if ('definition' in source) {
    return compiled(deps, source.definition, source.order);
  }
  if ('run' in source) {
    const { plan: hash, definition, definition_number: number } = source.run;
    const { plan, text } = await deps.plans.get(hash);
    return { plan, hash: Buffer.from(hash, 'hex'), body: text, name: definition, ...(number !== null && { number }) };
  }
  const stored = await findDefinition(deps.db, source);
  if (!stored)
    throw new Problem('not_found', {
      detail: `No workflow ${source.name}${source.version === undefined ? '' : ` of version ${source.version}`}`,
    });
  const { name, number } = stored;
  if (source.order) {
    const written = stored.media_type === 'application/yaml' ? stored.source : (JSON.parse(stored.source) as object);
    const { plan, hash, body } = compiled(deps, written, source.order);
    return { plan, hash, body, name, number };
  }
  const { plan, text } = await deps.plans.get(stored.plan);
  return { plan, hash: Buffer.from(stored.plan, 'hex'), body: text, name, number };
}

function compiled(deps: Pick<Deps, 'definitions' | 'plans'>, source: string | object, order: AskedOrder | undefined) {
  const { definition, plan, planHash, planText, canonical } = deps.definitions.compile(source, order);
  deps.plans.know(planHash.toString('hex'), { plan, text: planText });
  return { plan, hash: planHash, body: planText, name: definition.name, canonical };
}
