import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../domain/definition/canonical.ts';
import type { Plan } from '../../../domain/plan/plan.ts';
import { Problem } from '../../../domain/problem.ts';
import type { Deps } from '../../deps.ts';
import { presentPlan } from './present.ts';

/** Everything that is wrong with a definition, or what it would become. Nothing is stored. */
export function checkDefinition(deps: Pick<Deps, 'definitions'>, source: string | object) {
  try {
    const { definition, plan } = deps.definitions.compile(source);
    return { valid: true, issues: [], hash: hashOf(definition).toString('hex'), plan: presentPlan(plan), prediction: predict(plan) };
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'invalid_definition') throw error;
    return { valid: false, issues: error.issues ?? [], hash: null, plan: null, prediction: null };
  }
}

export const hashOf = (definition: object): Buffer => createHash('sha256').update(canonicalJson(definition)).digest();

/** Size of what a plan will do, as far as it is known before it runs: maps count once. */
function predict(plan: Plan) {
  const levels: number[] = [];
  for (const [index, deps] of plan.graph.deps.entries())
    levels[index] = 1 + Math.max(0, ...deps.map(([dependency]) => levels[dependency] ?? 0));
  const widths = Map.groupBy(levels, (level) => level);
  return {
    tasks: plan.tasks.length,
    effects: plan.graph.classes.filter((kind) => kind === 1).length,
    maps: plan.tasks.filter((task) => task.map).length,
    levels: Math.max(0, ...levels),
    width: Math.max(0, ...[...widths.values()].map((level) => level.length)),
  };
}
