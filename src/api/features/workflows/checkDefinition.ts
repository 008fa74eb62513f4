import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../domain/definition/canonical.ts';
import { predict } from '../../../domain/plan/predict.ts';
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
